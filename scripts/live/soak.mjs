// Watches a live camera in the dashboard for a long time and counts what a viewer would notice: pictures that stand still, and
// how far they are behind the camera, by the clock in the picture.
//
//   node scripts/live/soak.mjs [--minutes 10]
import { parseArgs } from 'node:util';
import { ADMIN, api, Browser, Link, readClock, sleep, Vault, Vehicle } from '../../web/e2e/rig.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const EACH_MS = 250;
/** A picture that is as old as at the look before is not moving; a clock read twice within a frame is no stall. */
const STALL_MS = 700;
const [vault, link, browser] = [new Vault(), new Link(), new Browser()];

await vault.start();
await link.start(vault.ports);
await browser.start();
const page = await browser.open();
await page.goto(vault.url);
for (const [field, value] of Object.entries({ code: vault.setupCode, name: ADMIN.name, password: ADMIN.password, again: ADMIN.password })) await page.fill(`[name=${field}]`, value);
await page.click('button[type=submit]');
await page.waitForSelector('.shell');
const { token } = (await api(page, 'POST', '/api/v1/devices', { name: 'bus-7' })).body;
const vehicle = new Vehicle(vault, 'bus-7', token, link, ['front=test,size=640x360,fps=20,bitrate=900k']);
vehicle.start();
await page.waitForSelector('.tile video[data-state=playing]', { timeout: 40_000 });
await page.goto(`${vault.url}/d/bus-7?camera=front`);
await page.waitForSelector('.stage[data-state=playing]', { timeout: 20_000 });
await sleep(5000);

const [lags, stalls] = [[], []];
let [last, movedAt, unread] = [undefined, Date.now(), 0];
const end = Date.now() + Number(values.minutes) * 60_000;
while (Date.now() < end) {
  const clock = await readClock(page);
  if (clock === undefined) unread += 1;
  else {
    lags.push(clock.read - clock.shown);
    if (clock.shown !== last) {
      if (clock.read - movedAt > STALL_MS + EACH_MS) stalls.push(clock.read - movedAt);
      [last, movedAt] = [clock.shown, clock.read];
    }
  }
  await sleep(EACH_MS);
}
lags.sort((a, b) => a - b);
const at = (part) => lags[Math.min(lags.length - 1, Math.floor(part * lags.length))];
console.log(`${values.minutes} min, ${lags.length} readings, ${unread} unreadable`);
console.log(`behind the camera, ms: least ${lags[0]}, median ${at(0.5)}, 95 % ${at(0.95)}, 99 % ${at(0.99)}, most ${lags.at(-1)}`);
console.log(`pictures that stood still for over ${STALL_MS} ms: ${stalls.length}${stalls.length > 0 ? ` (${stalls.join(', ')} ms)` : ''}`);
console.log(`console errors: ${browser.errors.length}${browser.errors.map((error) => `\n  ${error}`).join('')}`);
await browser.stop();
await vehicle.stop();
link.stop();
await vault.stop();
vault.remove();
