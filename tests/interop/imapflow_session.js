// A session of imapflow, as programs use it: everything it does by itself (ID, ENABLE, COMPRESS, NAMESPACE) is left on.
// Values come in PILLARBOX_TEST; what was seen goes out as one JSON object.
"use strict";
const { ImapFlow } = require("imapflow");
const given = JSON.parse(process.env.PILLARBOX_TEST);
const connect = async () => {
  const client = new ImapFlow({
    host: "127.0.0.1",
    port: given.port,
    secure: true,
    tls: { rejectUnauthorized: false },
    auth: { user: given.user, pass: given.password },
    logger: false,
    qresync: true,
    clientInfo: { name: "interop" },
  });
  await client.connect();
  return client;
};

(async () => {
  const seen = {};
  const client = await connect();
  seen.capabilities = [...client.capabilities.keys()];
  seen.enabled = [...client.enabled];
  seen.mailboxes = (await client.list({ statusQuery: { messages: true, unseen: true } })).map((each) => ({
    path: each.path,
    use: each.specialUse || "",
    messages: each.status ? each.status.messages : -1,
  }));
  await client.mailboxCreate("프로젝트");
  const opened = await client.mailboxOpen("INBOX");
  seen.exists = opened.exists;
  seen.fetched = [];
  for await (const message of client.fetch("1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, source: true, size: true, internalDate: true })) {
    seen.fetched.push({ uid: message.uid, subject: message.envelope.subject, octets: message.source.length, size: message.size });
  }
  seen.found = await client.search({ subject: "홍길동" }, { uid: true });
  seen.both = await client.search({ or: [{ from: "alice" }, { seen: true }] }, { uid: true });
  const other = await connect();
  const news = [];
  client.on("exists", (event) => news.push(["exists", event.count]));
  client.on("flags", (event) => news.push(["flags", event.seq, [...event.flags]]));
  client.on("expunge", (event) => news.push(["expunge", event.vanished ? event.uid : event.seq]));
  const wait = async (kind) => {
    const idling = client.idle();
    while (!news.some((each) => each[0] === kind)) await new Promise((done) => setTimeout(done, 20));
    await client.noop();
    await idling;
  };
  await other.append("INBOX", "Subject: appended\r\n\r\nby the other session\r\n", ["\\Flagged"]);
  await wait("exists");
  await other.mailboxOpen("INBOX");
  await other.messageFlagsAdd("1", ["\\Answered"], { uid: true });
  await wait("flags");
  await other.messageDelete("2", { uid: true });
  await wait("expunge");
  seen.news = [...news];
  seen.moved = await client.messageMove("1", "프로젝트", { uid: true });
  const there = await client.mailboxOpen("프로젝트");
  const part = await client.download("1", undefined, { uid: false });
  const pieces = [];
  for await (const piece of part.content) pieces.push(piece);
  seen.downloaded = Buffer.concat(pieces).length;
  seen.there = there.exists;
  seen.status = await client.status("INBOX", { messages: true, uidNext: true, unseen: true });
  await client.mailboxRename("프로젝트", "보관");
  await client.mailboxDelete("보관");
  await other.logout();
  await client.logout();
  console.log(JSON.stringify(seen, (_, value) => (value instanceof Map ? Object.fromEntries(value) : typeof value === "bigint" ? value.toString() : value)));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
