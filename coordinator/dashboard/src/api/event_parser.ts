// A parser of `text/event-stream`: text in pieces of any size in, whole events out.

export interface StreamEvent {
  type: string;
  data: string;
}

// What one event may hold before the stream counts as broken, in UTF-16 units.
const MAX_EVENT_LENGTH = 16 << 20;

export class EventParser {
  private rest = '';
  private type = '';
  private data: string[] = [];
  private length = 0;

  // Returns the events that `text` completes. Throws when an event exceeds its limit.
  push(text: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.takeLine(line.endsWith('\r') ? line.slice(0, -1) : line, events);
    if (this.rest.length + this.length > MAX_EVENT_LENGTH) throw new Error('event exceeds 16 MiB');
    return events;
  }

  private takeLine(line: string, events: StreamEvent[]): void {
    if (line === '') {
      if (this.data.length > 0) events.push({ type: this.type || 'message', data: this.data.join('\n') });
      this.type = '';
      this.data = [];
      this.length = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment: it only keeps the connection alive
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (field === 'event') this.type = value;
    if (field === 'data') {
      this.data.push(value);
      this.length += value.length;
    }
  }
}
