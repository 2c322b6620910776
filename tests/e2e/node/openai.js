// openai.js BASE_URL stream|whole|abort|gather|tools|responses|usage: one chat completion, or a response;
// prints its text, and the error that ended it, if any. `abort` leaves after the first token; `gather`
// lets the SDK put the chunks together; so does `tools`, which offers one; `usage` asks for usage.
import OpenAI from 'openai';

const [baseURL, mode] = process.argv.slice(2);
const client = new OpenAI({baseURL, apiKey: 'none', maxRetries: 0});
const request = {model: 'demo', messages: [{role: 'user', content: 'Say something.'}]};
const chat = {text: '', chunks: 0, error: null};

try {
  if (mode === 'whole') {
    const answer = await client.chat.completions.create(request);
    chat.text = answer.choices[0].message.content;
  } else if (mode === 'gather' || mode === 'tools') {
    const tool = {type: 'function', function: {name: 'add', parameters: {type: 'object', properties: {}}}};
    const gathered = client.chat.completions.stream(mode === 'tools' ? {...request, tools: [tool]} : request);
    gathered.on('chunk', () => { ++chat.chunks; });
    const answer = await gathered.finalChatCompletion();
    const {finish_reason: finish, message} = answer.choices[0];
    chat.text = message.content;
    chat.id = answer.id;
    chat.calls = message.tool_calls?.map(call => [call.id, call.function.name, call.function.arguments]);
    chat.finish = finish;
  } else if (mode === 'responses') {
    for await (const event of await client.responses.create({model: 'demo', input: 'Hi', stream: true})) {
      ++chat.chunks;
      if (event.type === 'response.output_text.delta') chat.text += event.delta;
      if (event.type === 'error') chat.told = event.code;
    }
  } else {
    const options = mode === 'usage' ? {stream_options: {include_usage: true}} : {};
    const stream = await client.chat.completions.create({...request, ...options, stream: true});
    for await (const chunk of stream) {
      ++chat.chunks;
      if (chunk.choices.length === 0) chat.usage = chunk.usage;
      chat.text += chunk.choices[0]?.delta?.content ?? '';
      if (mode === 'abort') stream.controller.abort();
    }
  }
} catch (error) {
  chat.error = String(error);
}
console.log(JSON.stringify(chat));
