// A list that is read again and again while somebody looks: what was read stays shown when the vault is away.
import { createSignal, onCleanup, type Accessor } from 'solid-js';
import { asProblem, type Problem } from './api/problem';

const LONGEST_PAUSE_MS = 15_000;

export interface Poll<T> {
  data: Accessor<T | undefined>;
  problem: Accessor<Problem | undefined>;
  /** Reads now; resolves when the answer is there. */
  refresh: () => Promise<void>;
  /** Shows a value at once, before the vault has said it. */
  set: (change: (value: T | undefined) => T | undefined) => void;
}

/** The pause before the next try. */
export function pauseAfter(failures: number, interval: number): number {
  if (failures === 0) return interval;
  return Math.max(Math.min(1000 * 2 ** (failures - 1), LONGEST_PAUSE_MS), Math.min(interval, 1000));
}

export function createPoll<T>(read: (signal: AbortSignal) => Promise<T>, intervalMs: number): Poll<T> {
  const [data, setData] = createSignal<T>();
  const [problem, setProblem] = createSignal<Problem>();
  let [timer, failures, stopped, abort] = [0, 0, false, new AbortController()];

  const refresh = async () => {
    clearTimeout(timer);
    abort.abort();
    const mine = (abort = new AbortController());
    try {
      const value = await read(mine.signal);
      if (stopped || mine !== abort) return;
      failures = 0;
      setData(() => value);
      setProblem(undefined);
    } catch (error) {
      if (stopped || mine !== abort) return;
      failures += 1;
      setProblem(asProblem(error));
    }
    timer = window.setTimeout(tick, pauseAfter(failures, intervalMs));
  };
  const tick = () => {
    if (document.visibilityState === 'visible') void refresh();
    else timer = window.setTimeout(tick, 1000);
  };
  void refresh();
  onCleanup(() => {
    stopped = true;
    clearTimeout(timer);
    abort.abort();
  });
  return { data, problem, refresh, set: (change) => setData((value) => change(value)) };
}
