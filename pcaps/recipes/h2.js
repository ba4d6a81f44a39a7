// WebSockets over HTTP/2 (RFC 8441): node h2.js ORIGIN PATH... opens one connection, on it a WebSocket for each path, and a
// plain request for each path that ends in .html. ws (npm) must be in NODE_PATH.
'use strict';
const http2 = require('http2');
const WebSocket = require('ws');

const [origin, ...paths] = process.argv.slice(2);
setTimeout(() => process.exit(9), 20e3).unref();                 // nothing here runs for longer

// ws speaks over any stream that is handed to it; a client masks what it sends.
function websocket(stream) {
  const ws = new WebSocket(null, undefined, { closeTimeout: 5000 });
  ws._isServer = false;
  stream.setNoDelay = () => {};
  ws.setSocket(stream, Buffer.alloc(0), { maxPayload: 1 << 20, allowSynchronousEvents: true, skipUTF8Validation: false });
  return ws;
}

// Three messages, each after the echo of the one before, and Close 1000.
function talk(stream, done) {
  const ws = websocket(stream);
  let sent = 0;
  const next = () => (sent < 3 ? ws.send(`message ${++sent}`) : ws.close(1000));
  ws.on('message', () => setTimeout(next, 20)); ws.on('error', e => console.log(e.message)); ws.on('close', done);
  next();
}

const session = http2.connect(origin, { rejectUnauthorized: false });
session.on('error', e => console.log(e.message));
session.once('remoteSettings', () => {
  let open = paths.length;
  const done = () => { if (--open === 0) setTimeout(() => session.close(), 100); };
  for (const path of paths) {
    if (path.endsWith('.html')) { session.request({ ':path': path }).on('close', done).resume().end(); continue; }
    const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': path, 'sec-websocket-version': '13', origin });
    stream.on('error', e => console.log(path, e.message));
    stream.on('response', head => {
      console.log(path, head[':status']);
      if (head[':status'] === 200) return talk(stream, done);
      stream.on('close', done).resume().end();
    });
  }
});
