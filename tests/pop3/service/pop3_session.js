// Two sessions of node-pop3, as programs use it: read everything, delete the first message, look again.
// Values come in PILLARBOX_TEST; what was seen goes out as one JSON object.
"use strict";
const Pop3Command = require("node-pop3");
const given = JSON.parse(process.env.PILLARBOX_TEST);
const open = () =>
  new Pop3Command({
    user: given.user,
    password: given.password,
    host: "127.0.0.1",
    port: given.port,
    tls: true,
    tlsOptions: { rejectUnauthorized: false },
    timeout: 15000,
  });

(async () => {
  const seen = {};
  const first = open();
  seen.ids = (await first.UIDL()).map((row) => row[1]);
  seen.sizes = (await first.LIST()).map((row) => Number(row[1]));
  seen.messages = [];
  for (let number = 1; number <= seen.ids.length; number += 1) {
    seen.messages.push(await first.RETR(number));
  }
  seen.top = await first.TOP(1, 0);
  await first.command("DELE", 1);
  await first.QUIT();
  const second = open();
  seen.left = (await second.UIDL()).map((row) => row[1]);
  await second.QUIT();
  process.stdout.write(JSON.stringify(seen));
})();
