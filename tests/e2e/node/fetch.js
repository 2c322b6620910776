// Reads an event stream in the coding that it asks for, with fetch, and prints each event's data line as soon as
// it can be read.
const [, , url, coding] = process.argv;
const answer = await fetch(url, { headers: { "accept-encoding": coding } });
console.log(answer.headers.get("content-encoding"));
let text = "";
for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
  text += part;
  for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) console.log(text.slice(0, end));
}
console.log("end");
