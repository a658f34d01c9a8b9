// One camera's picture: a <video> that shows live or a past second, goes on after every outage, and tells the wall time of
// what it shows. It knows nothing of timelines or of other cameras.
import type Hls from 'hls.js/light';
import type { ErrorData, LevelDetails } from 'hls.js/light';
import { livePlaylist, vodPlaylist } from '../api';
import { Busy, loadHls, settings, type Pace } from './hls';
import { extent, hastened, placeOf, wallAt, windowFor, type Piece } from './wallclock';

export type StageState = 'idle' | 'loading' | 'playing' | 'paused' | 'waiting' | 'ended' | 'unplayable' | 'empty';

export interface StageEvents {
  state?: (state: StageState) => void;
  /** Where a seek really went. */
  landed?: (wall: number) => void;
  /** What is loaded has been played to its end, or (`nothing`) there is nothing from the second asked for on, until `wall`. */
  ended?: (wall: number, nothing: boolean) => void;
}

const RETRY_MS = 1500;
const TOO_LATE_S = 8;
/** Footage that begins no later than this after an instant is of that instant. */
const HERE_MS = 300;

export class Stage {
  readonly video: HTMLVideoElement;
  #device: string;
  #camera: string;
  #events: StageEvents;
  #pace: Pace;
  #hls: Hls | undefined;
  #details: LevelDetails | undefined;
  #mode: 'idle' | 'live' | 'recorded' = 'idle';
  #window: { from: number; to: number } | undefined;
  #wanted: number | undefined;
  #wantsPlay = true;
  /** In the live playlist, at a second that was asked for: not to be brought to the present. */
  #behind = false;
  #rate = 1;
  #state: StageState = 'idle';
  #turn = 0;
  #timer = 0;
  #recoveredAt = 0;
  #cleanups: (() => void)[] = [];

  constructor(video: HTMLVideoElement, device: string, camera: string, pace: Pace, events: StageEvents = {}) {
    [this.video, this.#device, this.#camera, this.#pace, this.#events] = [video, device, camera, pace, events];
    const on = (name: keyof HTMLMediaElementEventMap, handler: () => void) => {
      video.addEventListener(name, handler);
      this.#cleanups.push(() => video.removeEventListener(name, handler));
    };
    on('playing', () => this.#say('playing'));
    on('pause', () => this.#mode !== 'idle' && !video.ended && this.#say('paused'));
    on('waiting', () => this.#say('waiting'));
    on('seeking', () => video.readyState < 3 && this.#say('loading'));
    on('seeked', () => video.paused && this.#say('paused'));
    on('ended', () => this.#atEnd());
    on('timeupdate', () => this.#hasten());
  }

  get mode(): 'idle' | 'live' | 'recorded' {
    return this.#mode;
  }

  get state(): StageState {
    return this.#state;
  }

  /** Seconds behind the camera, as the playlist knows it. */
  get latency(): number | undefined {
    return this.#mode === 'live' ? this.#hls?.latency : undefined;
  }

  /** The wall time of what is shown. */
  get wall(): number | undefined {
    if (this.#wanted !== undefined) return this.#wanted;
    const native = this.#nativeWall();
    return native ?? wallAt(this.#pieces(), this.video.currentTime);
  }

  async live(): Promise<void> {
    const edge = this.#hls?.liveSyncPosition;
    this.#behind = false;
    if (this.#mode === 'live' && this.#details && edge != null && this.video.readyState >= 2) {
      this.video.currentTime = edge;
      this.#goOn();
      return;
    }
    this.#mode = 'live';
    this.#window = undefined;
    this.#wanted = undefined;
    await this.#load(livePlaylist(this.#device, this.#camera), true);
  }

  /** Shows a second of the past; within the loaded window without loading anything new. */
  async seek(wall: number): Promise<void> {
    const place = this.#placeInHand(wall);
    if (place) {
      this.#wanted = undefined;
      if (this.#mode === 'live') this.#beBehind();
      this.video.currentTime = place.seconds;
      this.#events.landed?.(place.wall);
      this.#goOn();
      return;
    }
    this.#mode = 'recorded';
    this.#behind = false;
    this.#wanted = wall;
    this.#window = windowFor(wall, Date.now());
    await this.#load(vodPlaylist(this.#device, this.#camera, this.#window), false);
  }

  play(): void {
    this.#wantsPlay = true;
    this.#goOn();
  }

  pause(): void {
    this.#wantsPlay = false;
    this.video.pause();
  }

  /** One frame on or back, at 30 frames a second. */
  step(frames: number): void {
    this.pause();
    this.video.currentTime = Math.max(0, this.video.currentTime + frames / 30);
  }

  rate(rate: number): void {
    this.#rate = rate;
    if (this.#mode !== 'live' || rate !== 1) this.video.playbackRate = rate;
  }

  destroy(): void {
    this.#turn += 1;
    clearTimeout(this.#timer);
    for (const cleanup of this.#cleanups) cleanup();
    this.#hls?.destroy();
    this.video.removeAttribute('src');
    this.video.load();
  }

  #say(state: StageState): void {
    this.#state = state;
    this.#events.state?.(state);
  }

  #pieces(): readonly Piece[] {
    const details = this.#details;
    if (!details) return [];
    const hint = details.fragmentHint;
    return hint ? [...details.fragments, hint] : details.fragments;
  }

  /** Where a wall time is in what is loaded, if it is there. */
  #placeInHand(wall: number) {
    const pieces = this.#pieces();
    const known = extent(pieces);
    if (!known || this.#wanted !== undefined) return undefined;
    const within = this.#mode === 'recorded' && this.#window ? wall >= this.#window.from && wall < this.#window.to : wall >= known.from && wall < known.to - 1000;
    if (!within) return undefined;
    const place = placeOf(pieces, wall);
    // What is missing here may have come since the playlist was loaded.
    return place && place.wall - wall < HERE_MS ? place : undefined;
  }

  async #load(url: string, live: boolean): Promise<void> {
    const turn = ++this.#turn;
    clearTimeout(this.#timer);
    this.#details = undefined;
    this.#say('loading');
    let Hls;
    try {
      Hls = await loadHls();
    } catch {
      if (turn === this.#turn) this.#timer = window.setTimeout(() => void this.#load(url, live), RETRY_MS);
      return;
    }
    if (turn !== this.#turn) return;
    this.#hls?.destroy();
    this.#hls = undefined;
    const busy = new Busy();
    if (Hls.isSupported()) this.#begin(new Hls(settings(Hls, live, this.#pace, busy)), Hls, url, turn, busy);
    else if (this.video.canPlayType('application/vnd.apple.mpegurl') !== '') this.#native(url);
    else this.#say('unplayable');
  }

  #begin(hls: Hls, Class: typeof Hls, url: string, turn: number, busy: Busy): void {
    this.#hls = hls;
    const { Events } = Class;
    hls.on(Events.LEVEL_LOADED, (_name, { details }) => {
      if (turn !== this.#turn) return;
      this.#details = details;
      if (this.#wanted !== undefined) this.#arrive(hls, details);
    });
    hls.on(Events.LEVEL_UPDATED, (_name, { details }) => {
      this.#details = details;
      this.#catchUp(hls);
    });
    hls.on(Events.FRAG_LOADING, () => busy.begin());
    hls.on(Events.FRAG_BUFFERED, () => busy.finish());
    hls.on(Events.ERROR, () => busy.finish());
    hls.on(Events.MANIFEST_PARSED, () => this.#goOn());
    hls.on(Events.ERROR, (_name, data) => turn === this.#turn && this.#failed(hls, Class, data, url));
    hls.attachMedia(this.video);
    hls.loadSource(url);
  }

  /** The playlist of a window is here: play the second that was asked for. */
  #arrive(hls: Hls, details: LevelDetails): void {
    const place = placeOf(details.fragments, this.#wanted ?? 0);
    if (!place) {
      hls.stopLoad();
      this.#nothing();
      return;
    }
    queueMicrotask(() => {
      hls.startLoad(place.seconds);
      this.video.currentTime = place.seconds;
      this.#wanted = undefined;
      this.#events.landed?.(place.wall);
      this.#goOn();
    });
  }

  #beBehind(): void {
    this.#behind = true;
    this.video.playbackRate = this.#rate;
  }

  /** The window has no footage at or after the second asked for. */
  #nothing(): void {
    this.#wanted = undefined;
    this.#say('empty');
    if (this.#window) this.#events.ended?.(this.#window.to, true);
  }

  /** After an outage: to the present, instead of minutes of a slightly faster past. */
  #catchUp(hls: Hls): void {
    const edge = hls.liveSyncPosition;
    if (this.#mode !== 'live' || this.#behind || !this.#wantsPlay || edge === null || this.video.readyState < 2) return;
    if (hls.latency > TOO_LATE_S && edge > this.video.currentTime + 2) this.video.currentTime = edge;
  }

  /** Plays live a little faster until it is as near as the playlist allows. (hls.js would stop where a second is buffered.) */
  #hasten(): void {
    const target = this.#hls?.targetLatency;
    if (this.#mode !== 'live' || this.#pace !== 'close' || this.#behind || this.#rate !== 1 || !this.#hls || target == null) return;
    const { buffered, currentTime } = this.video;
    const ahead = buffered.length === 0 ? 0 : buffered.end(buffered.length - 1) - currentTime;
    const rate = hastened(this.#hls.latency - target, ahead);
    if (this.video.playbackRate !== rate) this.video.playbackRate = rate;
  }

  #goOn(): void {
    if (!(this.#mode === 'live' && this.#rate === 1)) this.video.playbackRate = this.#rate;
    if (this.#wantsPlay && this.video.paused) this.video.play().catch(() => this.video.paused && this.#say('paused'));
  }

  #failed(hls: Hls, Class: typeof Hls, data: ErrorData, url: string): void {
    if (!data.fatal) return;
    clearTimeout(this.#timer);
    const turn = this.#turn;
    const later = (action: () => void, ms: number) => {
      this.#say('waiting');
      this.#timer = window.setTimeout(() => turn === this.#turn && action(), ms);
    };
    if (data.type === Class.ErrorTypes.MEDIA_ERROR && Date.now() - this.#recoveredAt > 5000) {
      this.#recoveredAt = Date.now();
      hls.recoverMediaError();
      this.#goOn();
    } else if (data.type === Class.ErrorTypes.NETWORK_ERROR && this.#details) {
      later(() => hls.startLoad(), RETRY_MS);
    } else if (this.#mode === 'recorded' && data.response?.code === 404) {
      this.#nothing();
    } else {
      const wall = this.wall;
      later(() => {
        if (this.#mode === 'recorded') this.#wanted ??= wall;
        void this.#load(url, this.#mode === 'live');
      }, RETRY_MS);
    }
  }

  #atEnd(): void {
    if (this.#mode !== 'recorded') return;
    this.#say('ended');
    // Not the window's end: what was not stored yet when it was loaded may be there now.
    this.#events.ended?.(extent(this.#pieces())?.to ?? this.#window?.to ?? Date.now(), false);
  }

  // Without Media Source Extensions (iOS before 17.1): the browser's own player.
  #native(url: string): void {
    this.video.src = url;
    this.video.addEventListener('loadedmetadata', () => {
      const start = this.#nativeStart();
      if (this.#wanted !== undefined && start !== undefined) this.video.currentTime = Math.max(0, (this.#wanted - start) / 1000);
      this.#wanted = undefined;
      this.#goOn();
    }, { once: true });
  }

  #nativeStart(): number | undefined {
    const video = this.video as HTMLVideoElement & { getStartDate?: () => Date };
    const start = this.#hls ? undefined : video.getStartDate?.().getTime();
    return start === undefined || Number.isNaN(start) ? undefined : start;
  }

  #nativeWall(): number | undefined {
    const start = this.#nativeStart();
    return start === undefined ? undefined : start + this.video.currentTime * 1000;
  }
}
