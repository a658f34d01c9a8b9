// What the vault says, as the dashboard reads it. Times are Unix milliseconds; a range is half open.

export type Role = 'viewer' | 'operator' | 'admin';
export type SpanState = 'live' | 'backfilled' | 'on_vehicle' | 'lost' | 'not_recorded';

export interface Session {
  /** Nobody has signed in, and the vault shows itself to anybody. */
  anonymous: boolean;
  name: string;
  role: Role;
  csrf?: string;
}

export interface CameraState {
  name: string;
  state?: string;
  detail?: string;
}

export interface DeviceStatus {
  version?: string;
  backlog_bytes?: number;
  backlog_ms?: number;
  spool_free_bytes?: number;
  link?: { rtt_ms?: number; loss_permille?: number; send_bytes_per_s?: number };
  cameras?: CameraState[];
}

export interface CameraInfo {
  name: string;
  live: boolean;
  /** Up to when there is footage of it in the vault. */
  newest?: number;
}

export interface Device {
  id: string;
  cameras: CameraInfo[];
  created?: number;
  last_seen?: number;
  revoked: boolean;
  online: boolean;
  status?: DeviceStatus;
  status_at?: number;
}

export interface NewDevice {
  id: string;
  token: string;
  command: string;
}

export interface Span {
  from: number;
  to: number;
  state: SpanState;
  cause?: string;
  /** Packets are missing inside; what is left plays. */
  partly?: boolean;
  deleted?: boolean;
}

export interface CameraTimeline {
  camera: string;
  spans: readonly Span[];
}

export interface VehicleEvent {
  id: string;
  device: string;
  camera?: string;
  from: number;
  to: number;
  kind: string;
  note?: string;
  source?: string;
  created_by?: string;
  locked: boolean;
}

export type ClipState = 'waiting' | 'running' | 'done' | 'failed';

export interface Clip {
  id: string;
  device: string;
  camera: string;
  from: number;
  to: number;
  format: 'mp4' | 'ts';
  evidence: boolean;
  title?: string;
  state: ClipState;
  /** 0 to 1. */
  progress: number;
  bytes?: number;
  estimated_bytes?: number;
  covered_ms?: number;
  /** Milliseconds that were asked for and are not in it. */
  missing_ms?: number;
  error?: string;
  created?: number;
  created_by?: string;
}

export interface ImportJob {
  id: string;
  device: string;
  camera: string;
  filename: string;
  /** The same file was here already. */
  duplicate?: boolean;
  state: ClipState;
  progress: number;
  from?: number;
  to?: number;
  error?: string;
  created?: number;
}

export interface User {
  name: string;
  role: Role;
  created?: number;
  signed_in?: number;
}

export interface ApiToken {
  id: string;
  name: string;
  scopes: string[];
  device?: string;
  created?: number;
  created_by?: string;
  expires?: number;
  last_used?: number;
}

export interface AuditEntry {
  id: string;
  at: number;
  who: string;
  role?: string;
  address?: string;
  action: string;
  device?: string;
  camera?: string;
  from?: number;
  to?: number;
  detail?: string;
}

export interface StorageUse {
  device: string;
  camera: string;
  bytes: number;
  locked_bytes: number;
  packs?: number;
  oldest?: number;
  newest?: number;
}

export interface Storage {
  bytes: number;
  free_bytes?: number;
  cameras: StorageUse[];
}

export interface RetentionRule {
  /** Missing: every device. */
  device?: string;
  /** Missing: every camera. */
  camera?: string;
  max_age_ms?: number;
  max_bytes?: number;
}

export interface Retention {
  rules: RetentionRule[];
  vault: { max_bytes?: number; min_free_bytes?: number; live_max_age_ms?: number };
}

export interface RetentionPreview {
  packs: number;
  bytes: number;
  kept_by_lock: { packs: number; bytes: number };
  unmet: number;
  cameras: { device: string; camera: string; packs: number; bytes: number; to?: number }[];
}

export interface Page<T> {
  items: T[];
  next?: string;
}
