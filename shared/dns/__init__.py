"""DNS for those services that route or judge mail: questions to configured resolvers, answers kept for their TTL.

Read in this order: answers (what a look-up yields), cache (bounded, by TTL), resolver (the I/O, on trio and dnspython).
"""
