"""The text search index: which messages hold a word, answered without reading them.

Read in this order: ``grams`` (what is remembered of a text), ``files`` (names and forms of the files), ``partition`` (a partition, read),
``builder`` (a partition, written), ``document`` (a content as searched text), ``indexer`` (the process that builds),
``keeper`` (when it runs), ``columns`` and ``lookup`` (a search).

Laws:
- Contents never change and their ids ascend, so the index is by content id: partition n holds the ids from n * 4096 on, and an id has its
  fixed place there. What is not in the index is told as such, and whoever asked reads those messages: a search is right
  whatever state the index is in, and no delivery waits for it.
- A partition holds, for each of ROWS hashed trigrams (of octets of the folded UTF-8 text), a bit per content: whoever lacks a bit of the
  needle cannot match. What is left is looked up in the folded texts themselves, which lie beside the bits, compressed. The answer
  is exact.
- Only the indexer writes here, one process at a time, at the lowest priority. A file is replaced as a whole by renaming, texts are appended
  before the file that refers to them: killed at any instant, what was there before is still there and right.
- Every octet that is read is covered by a checksum. Damage makes a partition "not indexed", never a wrong answer; it is then rebuilt.
- Everything here may be deleted at any time; nothing here is ever the only copy.
"""
