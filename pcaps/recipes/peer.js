// The WebSocket ends of the captures: node peer.js serve|call NAME [ARG]. make.sh starts it; ws (npm) must be in NODE_PATH.
'use strict';
const WebSocket = require('ws');
const { WebSocketServer } = WebSocket;
const crypto = require('crypto');
const http = require('http');
const net = require('net');

const PORT = +process.env.PORT || 9000;                          // where a server listens
const URL = process.env.URL || 'ws://127.0.0.1:8080/ws';         // where a client goes
const sleep = ms => new Promise(done => setTimeout(done, ms));
setTimeout(() => process.exit(9), 60e3).unref();                 // nothing here runs for longer

const accept = key => crypto.createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
const echo = options => new WebSocketServer({ port: PORT, perMessageDeflate: false, ...options })
  .on('connection', ws => { ws.on('error', () => {}); ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })); });

// Opens a session, sends `count` messages, each after the echo of the one before, and then closes unless told to stay.
function talk(url, { count = 3, gap = 20, stay = false, text = i => `message ${i}`, ...options } = {}) {
  return new Promise(done => {
    const ws = new WebSocket(url, options.protocols || [], { perMessageDeflate: false, ...options });
    let sent = 0;
    const next = async () => { await sleep(gap); if (sent < count) ws.send(text(++sent)); else if (!stay) ws.close(1000); };
    ws.on('open', next); ws.on('message', next);
    ws.on('error', e => console.log(e.message)); ws.on('close', code => { console.log('closed', code); done(); });
  });
}

// A client that writes its own frames, for what a correct library refuses to send.
function raw(port, after) {
  return new Promise(done => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('GET /ws HTTP/1.1\r\nHost: 127.0.0.1:' + port + '\r\nUpgrade: websocket\r\n'
      + 'Connection: Upgrade\r\nSec-WebSocket-Key: ' + crypto.randomBytes(16).toString('base64') + '\r\nSec-WebSocket-Version: 13\r\n\r\n'));
    socket.once('data', () => after(socket));
    socket.on('close', done); socket.on('error', () => {});
  });
}
const headOf = socket => new Promise(done => { let head = ''; socket.on('data', d => { head += d.toString('latin1'); if (head.includes('\r\n\r\n')) done(head); }); socket.on('error', () => {}); });
const keyOf = head => /sec-websocket-key: *(\S+)/i.exec(head)[1];
const rawServer = answer => net.createServer(async socket => answer(socket, await headOf(socket))).listen(PORT, '127.0.0.1');

const serve = {
  echo: () => echo(),
  path: () => echo({ path: '/chat' }),                            // knows one path only
  deflate: () => echo({ perMessageDeflate: { threshold: 0 } }),
  small: () => echo({ maxPayload: 1000 }),                        // refuses larger messages with 1009
  silent: () => http.createServer().on('upgrade', () => {}).listen(PORT, '127.0.0.1'),
  drops: () => rawServer(socket => socket.end()),                 // closes instead of answering
  'wrong-accept': () => rawServer((socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Accept: ' + accept('dGhlIHNhbXBsZSBub25jZQ==') + '\r\n\r\n')),
  'no-subprotocol': () => rawServer((socket, head) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Accept: ' + accept(keyOf(head)) + '\r\n\r\n')),
  fragments: () => new WebSocketServer({ port: PORT, perMessageDeflate: false }).on('connection', async ws => { // six fragments, a ping in the middle
    for (let i = 0; i < 6; i++) { ws.send('part ' + i, { fin: i === 5 }); if (i === 2) ws.ping('server'); await sleep(20); }
  }),
  heartbeat: () => echo().on('connection', ws => {                // the usual ping loop: no pong since the last ping, so end it
    let alive = true;
    ws.on('pong', () => { alive = true; });
    const timer = setInterval(() => { if (!alive) return ws.terminate(); alive = false; ws.ping(); }, 700);
    ws.on('close', () => clearInterval(timer));
  }),
};

const call = {
  talk: () => talk(URL),
  two: () => Promise.all([talk(URL + '?who=a', { count: 4 }), talk(URL + '?who=b', { count: 3, gap: 27 })]),
  eight: () => talk(URL, { count: 8 }),
  stay: () => talk(URL, { stay: true }),
  three: () => Promise.all([0, 1, 2].map(async i => { await sleep(i * 300); await talk(URL + '?n=' + i, { count: 1 + i, gap: 150, stay: true }); })),
  deflate: () => talk(URL, { perMessageDeflate: { threshold: 0 }, count: 6, text: i => 'the same words again, ' + i + ': ' + 'the same words '.repeat(i) }),
  'no-deflate-answer': () => talk(URL, { perMessageDeflate: true }),
  subprotocol: () => talk(URL, { protocols: ['graphql-transport-ws'] }),
  big: () => talk(URL, { count: 1, text: () => 'x'.repeat(5000) }),
  busy: () => talk(URL, { count: 1000, gap: 100, stay: true }),
  'no-pong': () => talk(URL, { stay: true, autoPong: false }),
  insecure: () => talk(URL, { rejectUnauthorized: false }),
  fragments: async () => {
    const ws = new WebSocket(URL, { perMessageDeflate: false });
    await new Promise(done => ws.on('open', done));
    for (let i = 0; i < 5; i++) { ws.send(Buffer.from('piece ' + i), { fin: i === 4, binary: true }); if (i === 1) ws.ping('client'); await sleep(25); }
    await sleep(200); ws.close(1000); await new Promise(done => ws.on('close', done));
  },
  unmasked: () => raw(+process.env.TO, async socket => { socket.write(Buffer.from([0x81, 5, ...Buffer.from('hello')])); await sleep(300); socket.end(); }),
};

// Leaves packets out of a capture: node peer.js drop FILE N,N,...  The numbers count packets with TCP payload, from 1
// (classic pcap, Ethernet, IPv4).
function drop(file, list) {
  const fs = require('fs'); const from = fs.readFileSync(file); const gone = new Set(list.split(',').map(Number)); const kept = [from.subarray(0, 24)];
  let payloads = 0;
  for (let at = 24; at < from.length;) {
    const end = at + 16 + from.readUInt32LE(at + 8); const ip = at + 16 + 14; const tcp = ip + (from[ip] & 15) * 4;
    const bytes = from.readUInt16BE(ip + 2) - (tcp - ip) - (from[tcp + 12] >> 4) * 4;
    if (!(bytes > 0 && gone.has(++payloads))) kept.push(from.subarray(at, end));
    at = end;
  }
  fs.writeFileSync(file, Buffer.concat(kept));
}

const [, , role, name, arg] = process.argv;
if (role === 'serve') serve[name]();
else if (role === 'drop') drop(name, arg);
else call[name]().then(() => process.exit(0));
