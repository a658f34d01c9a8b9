// The vehicle's spans and events for whatever is in view: asked for when they are not known or may have changed.
import { createEffect, createSignal, on, onCleanup, type Accessor } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { CameraTimeline, VehicleEvent } from '../api/types';
import { question, TimelineCache } from '../timeline/cache';
import type { Viewport } from '../timeline/viewport';

const LOOK_MS = 1000;
const DEBOUNCE_MS = 120;
const EVENTS_EACH_MS = 5000;

export function createHistory(device: string, view: Accessor<Viewport>, pixels: () => number) {
  const cache = new TimelineCache();
  const [rows, setRows] = createSignal<CameraTimeline[]>([]);
  const [events, setEvents] = createSignal<VehicleEvent[]>([]);
  const [problem, setProblem] = createSignal<Problem>();
  let [asking, timer, stopped, eventsAt] = [false, 0, false, 0];
  let eventsRange: Viewport | undefined;

  const look = async () => {
    clearTimeout(timer);
    if (stopped) return;
    if (document.visibilityState === 'visible' && !asking) {
      asking = true;
      try {
        await spans();
        await marks();
        setProblem(undefined);
      } catch (error) {
        setProblem(asProblem(error));
      } finally {
        asking = false;
      }
    }
    timer = window.setTimeout(() => void look(), LOOK_MS);
  };

  async function spans(): Promise<void> {
    const wanted = question(view(), pixels());
    if (!cache.stale(view(), wanted.resolution, Date.now())) return;
    const cameras = await api.timeline(device, wanted.range, wanted.resolution);
    if (stopped) return;
    cache.add(wanted.range, wanted.resolution, cameras, Date.now());
    setRows(cache.shown(view()) ?? cameras);
  }

  async function marks(): Promise<void> {
    const { range } = question(view(), pixels());
    const known = eventsRange && eventsRange.from <= view().from && eventsRange.to >= view().to;
    if (known === true && Date.now() - eventsAt < EVENTS_EACH_MS) return;
    const page = await api.events({ device, from: range.from, to: range.to, limit: 500 });
    if (stopped) return;
    [eventsAt, eventsRange] = [Date.now(), range];
    setEvents(page.items);
  }

  createEffect(on(view, () => {
    const shown = cache.shown(view());
    if (shown) setRows(shown);
    clearTimeout(timer);
    timer = window.setTimeout(() => void look(), DEBOUNCE_MS);
  }));
  onCleanup(() => {
    stopped = true;
    clearTimeout(timer);
  });

  const refresh = () => {
    cache.forget();
    eventsAt = 0;
    void look();
  };
  return { rows, events, problem, refresh, setEvents };
}
