// Messages by nodemailer, over one connection of a pool: one that it makes itself, and a list of raw ones.
// Values come in PILLARBOX_TEST; what was seen goes out as one JSON object.
"use strict";
const nodemailer = require("nodemailer");
const given = JSON.parse(process.env.PILLARBOX_TEST);

(async () => {
  const transport = nodemailer.createTransport({
    host: "127.0.0.1",
    port: given.port,
    secure: given.secure,
    requireTLS: true,
    pool: true,
    maxConnections: 1,
    tls: { rejectUnauthorized: false },
    authMethod: given.mechanism,
    auth: { user: given.user, pass: given.password },
  });
  const seen = { verified: await transport.verify(), sent: [] };
  const made = await transport.sendMail({
    from: { name: "홍길동", address: given.user },
    to: given.to,
    cc: given.named,
    bcc: given.hidden,
    subject: "회의록과 첨부 파일",
    text: "안녕하세요.\n.\n..점\n",
    html: "<p>안녕하세요</p>",
    messageId: given.id,
    attachments: [{ filename: "계약서.pdf", content: Buffer.alloc(given.octets, "pillarbox") }],
    dsn: { id: "e1", return: "headers", notify: ["success", "failure"], recipient: given.user },
  });
  seen.sent.push([made.response, made.accepted, made.rejected]);
  for (const path of given.raw) {
    const raw = await transport.sendMail({ envelope: { from: given.user, to: [given.to] }, raw: { path } });
    seen.sent.push([raw.response, raw.accepted, raw.rejected]);
  }
  try {
    await transport.sendMail({ from: given.user, to: "nobody@example.test", subject: "x", text: "x" });
  } catch (error) {
    seen.refused = [error.responseCode, error.response];
  }
  transport.close();
  process.stdout.write(JSON.stringify(seen));
})();
