// anthropic.js BASE_URL: one message of Anthropic's SDK, streamed, with the offer of a tool; prints its
// text, its calls, its usage, the types of its events, and the error that ended it, if any.
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({baseURL: process.argv[2], apiKey: 'none', maxRetries: 0});
const message = {text: '', types: [], stopReason: null, error: null};

try {
  const stream = client.messages.stream(
    {model: 'demo', max_tokens: 9, messages: [{role: 'user', content: 'Say something.'}],
     tools: [{name: 'add', input_schema: {type: 'object', properties: {}}}]});
  stream.on('streamEvent', event => message.types.push(event.type));
  stream.on('text', text => { message.text += text; });
  const whole = await stream.finalMessage();
  message.stopReason = whole.stop_reason;
  message.usage = whole.usage;
  message.calls = whole.content.filter(block => block.type === 'tool_use')
    .map(({id, name, input}) => [id, name, input]);
} catch (error) {
  message.error = String(error);
}
console.log(JSON.stringify(message));
