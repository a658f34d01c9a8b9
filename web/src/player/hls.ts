// hls.js, loaded when the first picture is to be shown, with this project's settings.
import type Hls from 'hls.js/light';
import type { HlsConfig, LoaderCallbacks, LoaderConfiguration, LoaderContext, LoaderResponse, LoadPolicy } from 'hls.js/light';
import workerUrl from 'hls.js/dist/hls.worker.js?url';

export type HlsClass = typeof Hls;

let loading: Promise<HlsClass> | undefined;

export function loadHls(): Promise<HlsClass> {
  loading ??= import('hls.js/light').then((module) => module.default);
  // A failed load (the vault is being replaced) is tried again by the next call.
  loading.catch(() => (loading = undefined));
  return loading;
}

/** Retries as long as somebody looks: the vault is away, restarts, or has nothing yet. */
function endless(gone: (status: number) => boolean): LoadPolicy {
  const retry = { maxNumRetry: 1_000_000, retryDelayMs: 300, maxRetryDelayMs: 4000, backoff: 'exponential' as const };
  const shouldRetry = (_config: unknown, _count: number, timeout: boolean, response: LoaderResponse | undefined) =>
    timeout || !gone(response?.code ?? 0);
  return { default: { maxTimeToFirstByteMs: 15_000, maxLoadTimeMs: 30_000, timeoutRetry: retry, errorRetry: { ...retry, shouldRetry } } };
}

// 401: signed out. 404 and 410 of a segment or a part: it is gone for good; of a playlist: not there yet.
const playlists = endless((status) => status === 401 || status === 403);
// 404 of a recorded playlist: there is no footage in its range.
const recorded = endless((status) => status >= 400 && status < 500 && status !== 408 && status !== 429);
const segments = endless((status) => status >= 400 && status < 500 && status !== 408 && status !== 429);

/** How close to now live is shown. Browsers open six connections to a host, and each low-latency player holds one. */
export type Pace = 'close' | 'calm';

/** A playlist without what makes players hold a request open until there is more. */
export function calmed(playlist: string): string {
  return playlist
    .split('\n')
    .filter((line) => !/^#EXT-X-(PART|PART-INF|PRELOAD-HINT|RENDITION-REPORT|SERVER-CONTROL|SKIP)\b/.test(line))
    .join('\n');
}

/** Loads playlists as hls.js does, and calms them. */
function calmLoader(Class: HlsClass): HlsConfig['pLoader'] {
  const Loader = Class.DefaultConfig.loader;
  class CalmLoader extends Loader {
    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      const onSuccess: typeof callbacks.onSuccess = (response, ...rest) => {
        if (typeof response.data === 'string') response.data = calmed(response.data);
        callbacks.onSuccess(response, ...rest);
      };
      super.load(context, config, { ...callbacks, onSuccess });
    }
  }
  return CalmLoader as unknown as HlsConfig['pLoader'];
}

/** Whether something is being loaded, and a promise of its end. */
export class Busy {
  #done: (() => void) | undefined;
  #end: Promise<void> = Promise.resolve();

  begin(): void {
    if (this.#done) return;
    this.#end = new Promise((done) => (this.#done = done));
  }

  finish(): void {
    this.#done?.();
    this.#done = undefined;
  }

  /** Resolves when nothing is being loaded, or after a while. */
  async over(atMostMs: number): Promise<void> {
    if (this.#done) await Promise.race([this.#end, new Promise((passed) => setTimeout(passed, atMostMs))]);
  }
}

/**
 * Loads playlists as hls.js does, but changes none beneath a part that is on its way. Where the playlist that completes a segment comes while an earlier
 * part of it is parsed, hls.js 1.7 takes the segment as buffered whole, misses its last part, and loads nothing for six seconds.
 */
function patientLoader(Class: HlsClass, busy: Busy): HlsConfig['pLoader'] {
  const Loader = Class.DefaultConfig.loader;
  class PatientLoader extends Loader {
    #gone = false;

    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      const onSuccess: typeof callbacks.onSuccess = (...answer) => {
        void busy.over(400).then(() => this.#gone || callbacks.onSuccess(...answer));
      };
      super.load(context, config, { ...callbacks, onSuccess });
    }

    override abort(): void {
      this.#gone = true;
      super.abort();
    }

    override destroy(): void {
      this.#gone = true;
      super.destroy();
    }
  }
  return PatientLoader as unknown as HlsConfig['pLoader'];
}

export function settings(Class: HlsClass, live: boolean, pace: Pace, busy: Busy): Partial<HlsConfig> {
  const calm = live && pace === 'calm';
  return {
    enableWorker: true,
    workerPath: workerUrl,
    lowLatencyMode: live && !calm,
    // Stage does that itself.
    maxLiveSyncPlaybackRate: 1,
    // hls.js takes a segment whose parts are being appended while it trims for one that was evicted, and then waits some
    // seconds for a part that it has. The browser makes room by itself.
    backBufferLength: live ? (calm ? 20 : Infinity) : 60,
    // Each stall puts live off by this, in seconds; a second would be as far as live is late.
    liveSyncOnStallIncrease: 0.3,
    maxBufferLength: live ? 10 : 20,
    maxMaxBufferLength: 60,
    manifestLoadPolicy: live ? playlists : recorded,
    playlistLoadPolicy: live ? playlists : recorded,
    fragLoadPolicy: segments,
    ...(live && !calm && { pLoader: patientLoader(Class, busy) }),
    ...(calm && { pLoader: calmLoader(Class), liveSyncDurationCount: 2 }),
  };
}
