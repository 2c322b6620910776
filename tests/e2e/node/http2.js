// http2.js URL COUNT: COUNT event streams over one HTTP/2 connection of Node's own; prints how many
// bytes each brought, and with which code it ended.
import http2 from 'node:http2';

const [url, count] = process.argv.slice(2);
const {origin, pathname} = new URL(url);
const session = http2.connect(origin, {rejectUnauthorized: false});
const one = number => new Promise(resolve => {
  const stream = session.request({':path': `${pathname}/${number}`, accept: 'text/event-stream'});
  let body = '';
  stream.setEncoding('utf8');
  stream.on('data', text => { body += text; });
  stream.on('error', () => {});  // its code says it
  stream.on('close', () => resolve({body, code: stream.rstCode}));
});
console.log(JSON.stringify(await Promise.all(Array.from({length: Number(count)}, (_, i) => one(i)))));
session.close();
