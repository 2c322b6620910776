// anthropic.js BASE_URL: one message of Anthropic's SDK, streamed; prints its text, the types of its
// events, and the error that ended it, if any.
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({baseURL: process.argv[2], apiKey: 'none', maxRetries: 0});
const message = {text: '', types: [], stopReason: null, error: null};

try {
  const stream = client.messages.stream(
    {model: 'demo', max_tokens: 9, messages: [{role: 'user', content: 'Say something.'}]});
  stream.on('streamEvent', event => message.types.push(event.type));
  stream.on('text', text => { message.text += text; });
  message.stopReason = (await stream.finalMessage()).stop_reason;
} catch (error) {
  message.error = String(error);
}
console.log(JSON.stringify(message));
