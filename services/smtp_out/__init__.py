"""smtp_out: leases what is due in the outbound queue, delivers it, reports, bounces. Its manual page is README.md.

Read in this order: protocol (the SMTP client without I/O), plan, retry, outcome, destination, row, holdings, pace, rests, transcript,
wishes, require_tls (rules without I/O), mta_sts and dane (what domains promise), tls_reports (what they are told), egress (which way
mail takes), session, doubts, connector, route (sockets, TLS, DNS), content, attempt, lane, report, recorder, bounce, figures, worker,
configure.
"""
