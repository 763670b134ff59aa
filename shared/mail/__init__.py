"""The message format, pure: bytes in, values out. No I/O, no clock, no randomness; nothing raises on any bytes of a message.

Read in this order: `content`, `header`, `charset`, `encoded_word`, `address`, `date`, `mime` (the grammar); `limits`, `structure`
(the MIME tree); `envelope`, `imap_list`, `render`, `parts`, `html_text`, `body_text`, `summary` (what is made of it); `index` (all of
it for a message that enters). `received` and `dsn` write headers and messages of our own. `recode/` makes messages fit for narrower
transports; where that cannot be done it raises.
"""
