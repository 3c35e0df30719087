// Starts a stack, runs a test file against it, and stops it: with_stack.mjs BUILD_FOLDER SOURCE_FOLDER TEST_FILE
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Stack } from './stack.mjs';

const [build, source, test] = process.argv.slice(2);
const stack = new Stack(join(build, 'bin'));
const examples = join(source, 'examples', 'field-normalizer');

let child = null;
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child?.kill(signal));

try {
  await stack.start();
  await stack.addModel('field-normalizer', join(examples, 'field-normalizer-q8_0.gguf'));
  if (process.env.FALLOW_EMBEDDING_MODEL) await stack.addModel('tiny-bert', process.env.FALLOW_EMBEDDING_MODEL);
  await stack.startAgent();
  process.exitCode = await run(test);
  if (process.exitCode !== 0) console.error(stack.logs());
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await stack.stop();
}

function run(file) {
  child = spawn(process.execPath, ['--test', file], {
    stdio: 'inherit',
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: stack.caFile, // trust is given to Node as any user of the client would give it
      FALLOW_ORIGIN: stack.origin,
      FALLOW_KEY: stack.key,
      FALLOW_SIGN_IN_LINK: stack.signInLink,
      FALLOW_CA: stack.caFile,
      FALLOW_BIN: join(build, 'bin'),
      FALLOW_EXAMPLES: examples,
      FALLOW_EMBEDDING_EXAMPLE: join(source, 'examples', 'embeddings', 'batch.jsonl'),
      FALLOW_SCREENS: join(build, 'tests', 'e2e', 'screens'),
    },
  });
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}
