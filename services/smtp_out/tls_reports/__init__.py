"""TLS reports (RFC 8460): what became of TLS with each domain's servers, told to the domain once a day.

Read in this order: seen (what is counted), record (who wants to hear it), document (the JSON), message (the mail): no I/O; then
book (the counts' file), counter (from the sessions into the book), reporter (the day's end).
"""
