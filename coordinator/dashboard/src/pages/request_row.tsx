// One request: a line to recognise it by, and behind it all that was asked beside the answer.
import type { ChatMessage, Request, RequestBody } from '../api/types';
import { StateBadge } from '../components/state_badge';
import { formatCount } from '../format';
import { useServices } from '../state/context';
import { useStore } from '../state/store';
import {
  answerOf, completionOf, FINISH_REASON, inputsOf, questionOf, REQUEST_STATE, shortId, textOf, vectorsOf,
} from '../words';
import { EmbeddingInputs, EmbeddingVectors } from './embedding_details';

interface RequestRowProps {
  request: Request;
  open: boolean;
  onToggle: () => void;
}

export function RequestRow({ request, open, onToggle }: RequestRowProps) {
  const { text, tone } = REQUEST_STATE[request.state];
  const panel = `request-${request.index}`;
  return (
    <li class={`request ${open ? 'request-open' : ''}`}>
      <button type="button" class="request-row" aria-expanded={open} aria-controls={panel} onClick={onToggle}>
        <span class="request-index">{formatCount(request.index + 1)}</span>
        <span class="request-question">{questionOf(request) || request.custom_id}</span>
        <span class={`request-answer ${request.error ? 'text-bad' : ''}`}>
          {request.error?.message ?? (answerOf(request) || '–')}
        </span>
        <span class="request-state"><StateBadge text={text} tone={tone} /></span>
      </button>
      {open && <div id={panel} class="request-panel"><RequestDetails request={request} /></div>}
    </li>
  );
}

function RequestDetails({ request }: { request: Request }) {
  const { devices } = useStore(useServices().fleet);
  const deviceName = devices.get(request.device ?? '')?.hostname; // known to operators, while the device exists
  const completion = completionOf(request);
  const vectors = vectorsOf(request);
  const choice = completion?.choices?.[0];
  const usage = completion?.usage;
  const reason = choice?.finish_reason;
  return (
    <>
      <div class="conversation">
        <section aria-label="Input">
          <h3>Input</h3>
          {(request.body?.messages ?? []).map((message, index) => <Message key={index} message={message} />)}
          <EmbeddingInputs inputs={inputsOf(request)} />
        </section>
        <section aria-label="Answer">
          <h3>Answer</h3>
          {choice && <Message message={choice.message ?? { role: 'assistant', content: '' }} />}
          {request.error && <p class="message message-error"><code>{request.error.code}</code> {request.error.message}</p>}
          {vectors && <EmbeddingVectors vectors={vectors} />}
          {!choice && !vectors && !request.error && <p class="muted">Not there yet.</p>}
        </section>
      </div>
      <dl class="facts">
        <div><dt>custom_id</dt><dd><code>{request.custom_id}</code></dd></div>
        {reason && <div><dt>End</dt><dd>{FINISH_REASON[reason] ?? reason}</dd></div>}
        {usage && (
          <div>
            <dt>Tokens</dt>
            <dd>{formatCount(usage.prompt_tokens ?? 0)} in, {formatCount(usage.completion_tokens ?? 0)} out</dd>
          </div>
        )}
        {vectors?.usage && <div><dt>Tokens</dt><dd>{formatCount(vectors.usage.prompt_tokens ?? 0)} in</dd></div>}
        {request.device && <div><dt>Device</dt><dd title={request.device}>{deviceName ?? <code>{shortId(request.device)}</code>}</dd></div>}
        <Parameters body={request.body} />
      </dl>
    </>
  );
}

function Message({ message }: { message: ChatMessage }) {
  const text = textOf(message);
  return (
    <div class={`message message-${message.role === 'assistant' ? 'answer' : 'input'}`}>
      <p class="message-role">{message.role}</p>
      <pre class="message-text" tabIndex={text.length > 600 ? 0 : undefined}>{text || '(empty)'}</pre>
    </div>
  );
}

// What else the line asked for: temperature, seed, token limit, encoding and the like.
function Parameters({ body }: { body: RequestBody | null }) {
  const shown = Object.entries(body ?? {}).filter(([name]) => !['messages', 'input', 'model'].includes(name));
  if (shown.length === 0) return null;
  return (
    <div>
      <dt>{shown.length === 1 ? 'Parameter' : 'Parameters'}</dt>
      <dd>{shown.map(([name, value]) => <code key={name} class="parameter">{name}={JSON.stringify(value)}</code>)}</dd>
    </div>
  );
}
