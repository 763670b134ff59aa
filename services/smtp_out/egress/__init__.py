"""Which way a message takes: the rules of the administrator, and where they say nothing, what results have taught.

Read in this order: ways, rules, signs, learner (all without I/O), guide (the store's plan, the day's caps), tester.
"""
