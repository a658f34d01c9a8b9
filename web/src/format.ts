// Times, sizes and rates in words. Times are shown in the browser's time zone.

const two = (value: number) => String(value).padStart(2, '0');

/** `14:03:27` */
export function clock(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `2026-11-22` */
export function day(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** `2026-11-22 14:03:27` */
export function moment(ms: number): string {
  return `${day(ms)} ${clock(ms)}`;
}

/** The value of an `<input type="datetime-local" step="1">`. */
export function inputMoment(ms: number): string {
  return `${day(ms)}T${clock(ms)}`;
}

/** What such an input holds, as Unix milliseconds; undefined where it is no time. */
export function fromInput(value: string): number | undefined {
  const ms = new Date(value).getTime();
  return Number.isFinite(ms) ? ms : undefined;
}

const STEPS: [number, string][] = [[86_400_000, 'd'], [3_600_000, 'h'], [60_000, 'min'], [1000, 's']];

/** `2 h 5 min`: the two largest units; less than a second in milliseconds. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  let rest = Math.round(ms / 1000) * 1000;
  const words: string[] = [];
  for (const [unit, name] of STEPS) {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    if (count > 0) words.push(`${count} ${name}`);
    else if (words.length > 0) break;
    if (words.length === 2) break;
  }
  return words.join(' ');
}

/** `now`, `12 s ago`, `3 d ago`: one unit. */
export function ago(at: number, now: number): string {
  const passed = now - at;
  if (passed < 2000) return 'now';
  const [unit, name] = STEPS.find(([size]) => passed >= size) ?? [1000, 's'];
  return `${Math.floor(passed / unit)} ${name} ago`;
}

/** `1.2 GB`, decimal as disks are sold. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Bytes a second as bits: `4.1 Mbit/s`. */
export function rate(bytesPerSecond: number): string {
  const bits = bytesPerSecond * 8;
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(1)} Mbit/s`;
  return `${Math.round(bits / 1e3)} kbit/s`;
}

/** `1 pack`, `2 packs` */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
}

export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
