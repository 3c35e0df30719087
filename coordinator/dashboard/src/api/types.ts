// The shapes of the coordinator's `/api`, as docs/PROTOCOL.md gives them. Times are Unix seconds.

export type Role = 'operator' | 'submitter';

export interface Me {
  key_id: string;
  account: string;
  role: Role;
  name: string;
  coordinator_version: string;
}

export type JobState =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled';

export interface JobError {
  code: string | null;
  message: string;
  param?: string | null;
  line?: number | null;
}

export interface JobProgress {
  tokens_per_second: number; // generated, or read for embeddings
  generated_tokens: number;
  devices: number;
  seconds_left: number | null;
}

export interface Job {
  id: string;
  status: JobState;
  endpoint: string;
  completion_window: string;
  model?: string | null;
  input_file_id: string;
  output_file_id?: string | null;
  error_file_id?: string | null;
  errors?: { data?: JobError[] } | null;
  metadata?: Record<string, string> | null;
  request_counts?: { total: number; completed: number; failed: number } | null;
  usage?: { input_tokens: number; output_tokens: number } | null;
  created_at: number;
  in_progress_at?: number | null;
  finalizing_at?: number | null;
  completed_at?: number | null;
  failed_at?: number | null;
  expired_at?: number | null;
  cancelling_at?: number | null;
  cancelled_at?: number | null;
  expires_at?: number | null;
  progress: JobProgress;
}

export type RequestState = 'pending' | 'leased' | 'done' | 'failed';

export interface ChatMessage {
  role: string;
  content?: string | { type: string; text?: string }[] | null;
}

export interface ChatCompletion {
  model?: string;
  choices?: { message?: ChatMessage; finish_reason?: string | null }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number; total_tokens?: number };
}

/** The head of a request's vectors; all of them are in the output file. */
export interface EmbeddingsPreview {
  object: 'embeddings_preview';
  vector_count: number;
  vector_length: number;
  data: { index: number; norm: number; first_values: number[] }[];
  usage?: { prompt_tokens?: number; total_tokens?: number };
}

export type EmbeddingInput = string | string[] | number[] | number[][];

export interface RequestBody {
  messages?: ChatMessage[];
  input?: EmbeddingInput;
  [field: string]: unknown;
}

export interface Request {
  index: number;
  custom_id: string;
  state: RequestState;
  body: RequestBody | null; // null: the line could not be read
  response: ChatCompletion | EmbeddingsPreview | null;
  error: { code: string; message: string } | null;
  device: string | null;
}

export type DeviceState = 'idle' | 'working' | 'in_use' | 'paused' | 'faulty' | 'offline';

/** How long the owner of a device waits until it is free. */
export interface YieldFigures {
  count: number;
  p50_ms: number;
  p99_ms: number;
}

export interface Device {
  id: string;
  hostname: string;
  operating_system: string;
  agent_version: string;
  /** null until the device's worker has opened one. */
  backend: 'vulkan' | 'cpu' | null;
  processor: string;
  driver: string;
  memory_bytes: number;
  state: DeviceState;
  reason: string;
  tokens_per_second: number; // generated
  embedding_tokens_per_second?: number; // read for embeddings; older coordinators do not say
  yields?: YieldFigures | null; // null: none measured; older coordinators do not say
  enrolled_at: number;
  last_seen_at: number;
  completed_requests: number;
  generated_tokens: number;
  leases: { id: string; job: string; requests: number; expires_at: number }[];
}

// What so many sequences of so many tokens take on a device, weights included.
export interface MemoryRow {
  sequences: number;
  tokens: number;
  bytes: number;
}

// Fields are absent where the coordinator that took the model did not know them yet.
export interface ModelCard {
  architecture?: string;
  name?: string;
  license?: string;
  parameter_count?: number;
  context_length?: number;
  layer_count?: number;
  embedding_length?: number;
  vocabulary_size?: number;
  weight_types?: string; // how many tensors of which type: "F32 13, Q8_0 44"
  tokenizer?: string;
  chat?: boolean;
  pooling?: string; // "none": it generates
  memory?: MemoryRow[];
}

export interface Model {
  id: string;
  digest: string;
  size_bytes: number;
  created_at: number;
  card: ModelCard | null;
}

export interface Key {
  id: string;
  account: string;
  role: Role;
  name: string;
  prefix?: string;
  created_at: number;
  revoked_at?: number | null;
}

export interface NewKey extends Key {
  secret: string;
}

export interface Page<T> {
  data: T[];
  has_more?: boolean;
}
