// eventsource.js URL COUNT: reads COUNT events, reconnecting where it must, and prints their ids.
import {EventSource} from 'eventsource';

const [url, count] = process.argv.slice(2);
const seen = {ids: [], errors: 0};
const source = new EventSource(url);

function finish() {
  source.close();
  console.log(JSON.stringify(seen));
}

source.onmessage = event => {
  if (seen.ids.length === Number(count)) return;
  seen.ids.push(Number(event.lastEventId));
  if (seen.ids.length === Number(count)) finish();
};
source.onerror = () => {
  ++seen.errors;
  if (source.readyState === EventSource.CLOSED) process.exit(1);  // it will not try again
};
