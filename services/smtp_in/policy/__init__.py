"""Who may send what to whom: every check is a policy, every policy stands in one chain, and the session asks the chain.

The four moments: a client connected, MAIL, RCPT, and the content: the last is the one clear place between "received" and "committed", where
content filters will stand. Files: `chain` (the interface and the chain), `sender` (MAIL of a submission), `recipient`
(RCPT: resolve, relay), `groups` (RCPT and content: who may post), `device` (RCPT of a scanner), `daily` (RCPT: what an account may still
send today), `content` (loop, header size),
`authenticity` (SPF, DKIM, DMARC). At the door, for strangers on port 25
(`strangers`): `rates`, `early`, `dns_lists`, `tarpit`, `greylist`; under them `allowance` (pure), `pauses` and `greylist_book`.
"""
