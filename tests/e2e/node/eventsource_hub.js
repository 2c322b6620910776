// eventsource_hub.js URL COUNT CUT: reads COUNT events, and cuts its connection when it has CUT of
// them; it comes back as a browser does. Prints what it has seen.
import {EventSource} from 'eventsource';

const [url, count, cut] = process.argv.slice(2).map((value, i) => i ? Number(value) : value);
const seen = {data: [], connections: 0};
let connection;

// Its own fetch, so that a connection can be cut under it.
const source = new EventSource(url, {
  fetch: (target, options) => {
    ++seen.connections;
    connection = new AbortController();
    return fetch(target, {...options, signal: connection.signal});
  },
});

source.onmessage = event => {
  seen.data.push(event.data);
  if (seen.data.length === cut) connection.abort(new Error('cut'));
  if (seen.data.length < count) return;
  source.close();
  console.log(JSON.stringify(seen));
  process.exit(0);
};
