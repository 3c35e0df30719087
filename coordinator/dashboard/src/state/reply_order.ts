// Which replies count when the same thing is asked for again before the reply before has come.

// A reply counts if none that was asked for later has come: so what is shown never goes back, and goes on even where
// replies take longer than the time between two questions.
export class ReplyOrder {
  private asked = 0;
  private taken = 0;

  ask(): number {
    this.asked += 1;
    return this.asked;
  }

  // Whether the reply to the question `turn` counts.
  take(turn: number): boolean {
    if (turn <= this.taken) return false;
    this.taken = turn;
    return true;
  }

  // No reply to what has been asked counts any more.
  drop(): void {
    this.taken = this.asked;
  }
}
