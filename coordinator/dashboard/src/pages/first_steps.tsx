// What to do on a coordinator without jobs: the steps that are still missing, with the commands to type.
import { Command } from '../components/command';
import { EmptyState } from '../components/empty_state';
import { Notice } from '../components/notice';
import { useMe, useServices } from '../state/context';
import { useLoaded } from '../state/hooks';
import { useStore } from '../state/store';

export function FirstSteps() {
  const { api, fleet } = useServices();
  const me = useMe();
  const { devices } = useStore(fleet);
  const models = useLoaded(() => api.models(), []);
  const modelNames = models.value?.data.map((model) => model.id) ?? [];
  const operator = me.role === 'operator';
  if (models.value === null && models.error === null) return <p class="muted" aria-busy="true">Loading…</p>;

  return (
    <EmptyState title="No jobs yet">
      <ol class="steps">
        {models.value !== null && modelNames.length === 0 && (
          <li>
            <p>{operator ? 'Add a model, a GGUF file:' : 'There is no model yet. An operator adds one with:'}</p>
            <Command text="fallow models add FILE.gguf" />
          </li>
        )}
        {operator && devices.size === 0 && (
          <li>
            <p>Join a device. On the machine that shall work:</p>
            <JoinCommands />
          </li>
        )}
        <li>
          <p>Submit a batch, one request a line in the OpenAI Batch form:</p>
          <Command text={`fallow submit batch.jsonl --model ${modelNames[0] ?? 'NAME'} --wait -o out.jsonl`} />
        </li>
      </ol>
      <p class="hint">
        The command line needs to be signed in once: <code>fallow login 'SIGN-IN LINK'</code>. The job appears here at
        once and goes on before your eyes.
      </p>
    </EmptyState>
  );
}

// The commands that make a machine a device of this coordinator.
export function JoinCommands() {
  const { api } = useServices();
  const join = useLoaded(() => api.joinLink(), []);
  if (join.error !== null) return <Notice message={join.error} onRetry={join.reload} />;
  if (join.value === null) return <p class="muted" aria-busy="true">Loading…</p>; // a command without its link is none
  return (
    <div class="commands">
      <Command text={`fallow-agent join '${join.value.link}'`} />
      <Command text="fallow-agent run" />
      <p class="hint">
        It works while nobody uses the machine. On a machine without an owner: <code>fallow-agent run --dedicated</code>
      </p>
    </div>
  );
}
