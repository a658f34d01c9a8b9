// What the vehicle's players do together: one leads, the others follow its second; play, pause, speed, live, jumps.
import { createSignal, onCleanup } from 'solid-js';
import * as api from '../api';
import { asProblem } from '../api/problem';
import { kept, keep } from '../ui/theme';
import { clock } from '../format';
import { Stage, type StageState } from '../player/stage';
import type { Pace } from '../player/hls';
import { follow } from '../player/wallclock';
import { footageFrom, playable, spanAt, STATE_NAMES } from '../timeline/spans';
import type { Span } from '../api/types';

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
const TICK_MS = 100;
const SYNC_MS = 500;
const NEAR_LIVE_MS = 180_000;
/** Nearer to now than this is the present. */
const PRESENT_MS = 3000;
/** What the vault says of the newest seconds it may not know yet. */
const UNSURE_MS = 15_000;
const MONTH_MS = 31 * 86_400_000;

export type Transport = ReturnType<typeof createTransport>;

export function createTransport(device: string, spansOf: (camera: string) => readonly Span[]) {
  const stages = new Map<string, Stage>();
  const [lead, setLead] = createSignal('');
  const [mode, setMode] = createSignal<'live' | 'recorded'>('live');
  const [wall, setWall] = createSignal(Date.now());
  const [playing, setPlaying] = createSignal(true);
  const [speed, setSpeed] = createSignal(rememberedSpeed());
  const [states, setStates] = createSignal<Record<string, StageState>>({});
  const [said, setSaid] = createSignal('');
  const [latency, setLatency] = createSignal<number>();
  let saidTimer = 0;
  let jumping = false;
  let resumedAt = 0;

  const say = (text: string) => {
    clearTimeout(saidTimer);
    setSaid(text);
    saidTimer = window.setTimeout(() => setSaid(''), 6000);
  };
  const leading = () => stages.get(lead());

  function add(camera: string, video: HTMLVideoElement, pace: Pace): void {
    const stage = new Stage(video, device, camera, pace, {
      state: (state) => setStates((all) => ({ ...all, [camera]: state })),
      landed: (at) => {
        if (camera !== lead()) return;
        setWall(at);
      },
      ended: (at, nothing) => camera === lead() && void afterEnd(at, nothing),
    });
    stages.set(camera, stage);
    stage.rate(mode() === 'live' ? 1 : speed());
    if (!playing()) stage.pause();
    if (mode() === 'live') void stage.live();
    else void stage.seek(wall());
  }

  function remove(camera: string): void {
    stages.get(camera)?.destroy();
    stages.delete(camera);
  }

  function each(action: (stage: Stage) => void): void {
    for (const stage of stages.values()) action(stage);
  }

  function goLive(): void {
    setMode('live');
    setPlaying(true);
    each((stage) => {
      stage.rate(1);
      stage.play();
      void stage.live();
    });
  }

  function seek(at: number): void {
    const now = Date.now();
    if (at > now - PRESENT_MS) return void goLive();
    const target = at;
    const span = spanAt(spansOf(lead()), target);
    const next = span && footageFrom(spansOf(lead()), target);
    if (target < now - UNSURE_MS && span && (span.state === 'on_vehicle' || span.state === 'lost' || span.state === 'not_recorded') && !span.partly) {
      const where = next === undefined ? 'There is no later footage in view.' : `Going on at ${clock(next)}.`;
      say(`${STATE_NAMES[span.state]} at ${clock(target)}. ${where}`);
      if (next === undefined) return;
    }
    const goal = next ?? target;
    resumedAt = 0;
    setWall(goal);
    setMode('recorded');
    each((stage) => {
      stage.rate(speed());
      void stage.seek(goal);
    });
  }

  /** The lead has played what was loaded, or there was nothing: on to the next footage, or to the present. */
  async function afterEnd(at: number, nothing: boolean): Promise<void> {
    if (jumping) return;
    jumping = true;
    try {
      const now = Date.now();
      const from = Math.max(at - 250, 0);
      const rows = from < now - 1000 ? await api.timeline(device, { from, to: now }, Math.max(1, Math.floor((now - from) / 4000))) : [];
      const next = footageFrom(rows.find((row) => row.camera === lead())?.spans ?? [], from);
      if (mode() !== 'recorded') return;
      if (next !== undefined && next < now - PRESENT_MS && next - resumedAt > 1000) {
        resumedAt = next;
        if (next - at > 1500) say(`No footage from ${clock(at)} to ${clock(next)}.`);
        each((stage) => void stage.seek(next + 20));
      } else if (now - at < NEAR_LIVE_MS || next !== undefined) {
        say(nothing ? `${clock(wall())} is not stored yet; it can be played in a minute or so. Now live.` : 'Now live.');
        goLive();
      } else {
        say('This is the end of the footage.');
        pause();
      }
    } catch (error) {
      say(`${asProblem(error).title}. Try again in a moment.`);
      pause();
    } finally {
      jumping = false;
    }
  }

  /** Shows the end of the newest footage of the last month: for a vehicle that is away. */
  async function showLast(): Promise<void> {
    try {
      const to = Date.now();
      const rows = await api.timeline(device, { from: to - MONTH_MS, to }, 60_000);
      const last = rows.find((row) => row.camera === lead())?.spans.findLast((span) => playable(span.state));
      if (last) seek(Math.max(last.from, last.to - 10_000));
      else say('There is no footage of the last month.');
    } catch (error) {
      say(`${asProblem(error).title}. Try again in a moment.`);
    }
  }

  function play(): void {
    setPlaying(true);
    each((stage) => stage.play());
  }

  function pause(): void {
    setPlaying(false);
    each((stage) => stage.pause());
  }

  function changeSpeed(to: number): void {
    setSpeed(to);
    keep('dashvault.speed', String(to));
    if (mode() === 'recorded') each((stage) => stage.rate(to));
  }

  function faster(steps: number): void {
    const index = SPEEDS.indexOf(speed());
    changeSpeed(SPEEDS[Math.min(Math.max(index + steps, 0), SPEEDS.length - 1)] ?? 1);
    if (mode() === 'recorded') play();
  }

  function step(frames: number): void {
    setPlaying(false);
    each((stage) => stage.step(frames));
  }

  let synced = 0;
  const timer = setInterval(() => {
    const first = leading();
    const at = first?.wall;
    if (at !== undefined && !jumping) setWall(at);
    setLatency(first?.latency);
    const now = performance.now();
    if (at === undefined || !first || now - synced < SYNC_MS || first.state !== 'playing') return;
    synced = now;
    for (const [camera, stage] of stages) {
      const own = stage.wall;
      if (camera === lead() || own === undefined || stage.state !== 'playing') continue;
      const nudge = follow(at, own);
      stage.rate((mode() === 'live' ? 1 : speed()) * nudge.rate);
      if (nudge.jump !== undefined && mode() === 'recorded') void stage.seek(nudge.jump + 50);
    }
  }, TICK_MS);

  onCleanup(() => {
    clearInterval(timer);
    clearTimeout(saidTimer);
    each((stage) => stage.destroy());
  });

  return { add, remove, goLive, showLast, seek, play, pause, step, faster, say, changeSpeed, setLead, leading, lead, mode, wall, playing, speed, states, said, latency };
}

function rememberedSpeed(): number {
  const value = Number(kept('dashvault.speed'));
  return SPEEDS.includes(value) ? value : 1;
}
