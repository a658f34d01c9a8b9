// The dashboard end to end: the real vault, a real recorder with a test picture and real footage, a real browser, a link that
// is cut. Run by `make e2e`; a part by `node e2e/run.mjs live clip`. Screenshots are left in target/screenshots.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN, api, Browser, clockOf, Link, readClock, ROOT, sleep, until, Vault, Vehicle } from './rig.mjs';

const FOOTAGE = process.env.DASHVAULT_FOOTAGE ?? join(ROOT, 'target/footage');
const AWAY = /ERR_(CONNECTION|EMPTY|INCOMPLETE|NETWORK)|50[234]|Failed to load resource/;

const vault = new Vault();
const browser = new Browser();
const link = new Link();
const state = { figures: {} };

function assert(holds, message) {
  if (!holds) throw new Error(message);
}

const media = (page, selector = '.stage video') => page.$eval(selector, (video) => video.currentTime);

/** Waits until the picture moves; the same <video> as before. */
async function advances(page, what, selector = '.stage video') {
  const before = await media(page, selector);
  await until(`${what}: the picture moves`, async () => Math.abs((await media(page, selector)) - before) > 0.7, 25_000);
}

const span = (page, camera, wanted) => until(`a span ${wanted}`, async () => {
  const now = Date.now();
  const { body } = await api(page, 'GET', `/api/v1/devices/bus-7/timeline?from=${now - 600_000}&to=${now}`);
  return body.cameras?.find((one) => one.camera === camera)?.spans.find((one) => one.state === wanted && one.to - one.from > 700);
}, 40_000, 500);

/** An instant as an `<input type="datetime-local">` wants it. */
const local = (at) => new Date(at - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 19);

async function signIn(page, { name, password }) {
  await page.goto(vault.url);
  await page.fill('[name=name]', name);
  await page.fill('[name=password]', password);
  await page.click('button[type=submit]');
  await page.waitForSelector('.shell');
}

/** Clicks on the timeline where an instant is. */
async function clickAt(page, at, row = 0) {
  const box = await page.locator('.timeline-canvas').boundingBox();
  const [from, to] = await page.$eval('.timeline', (element) => [Number(element.dataset.from), Number(element.dataset.to)]);
  assert(at > from && at < to, 'the instant is in view');
  await page.mouse.click(box.x + ((at - from) / (to - from)) * box.width, box.y + 24 + 20 + row * 40 + 17);
}

const tests = {
  async 'first run makes the administrator'() {
    const page = (state.page = await browser.open());
    await page.goto(vault.url);
    await page.fill('[name=code]', vault.setupCode);
    await page.fill('[name=name]', ADMIN.name);
    await page.fill('[name=password]', ADMIN.password);
    await page.fill('[name=again]', ADMIN.password);
    await browser.shot(page, 'first-run');
    await page.click('button[type=submit]');
    await page.waitForSelector('text=No vehicles yet');
    await browser.shot(page, 'wall-empty');
  },

  async 'sign-in refuses a wrong password and takes the right one'() {
    const page = await browser.open({ phone: true, dark: true });
    browser.expected = /401/;
    await page.goto(vault.url);
    await page.fill('[name=name]', ADMIN.name);
    await page.fill('[name=password]', 'not this one');
    await page.click('button[type=submit]');
    await page.waitForSelector('[role=alert]');
    await browser.shot(page, 'sign-in-refused-phone');
    await page.fill('[name=password]', ADMIN.password);
    await page.click('button[type=submit]');
    await page.waitForSelector('text=No vehicles yet');
    browser.expected = undefined;
    await page.context().close();
  },

  async 'a vehicle is added with its command'() {
    const { page } = state;
    await page.goto(`${vault.url}/devices?add`);
    await page.fill('dialog input', 'bus-7');
    await page.keyboard.press('Enter');
    const command = await page.textContent('.command code');
    state.token = /--token (\S+)/.exec(command)?.[1];
    assert(state.token, `the command has a token: ${command}`);
    assert(await page.isVisible('.qr'), 'the QR code is shown');
    await browser.shot(page, 'add-vehicle');
  },

  async 'the wall shows it, live'() {
    const { page } = state;
    const cameras = ['front=test,size=640x360,fps=20,bitrate=900k', `rear=file:${join(FOOTAGE, 'bikes.mp4')},bitrate=900k`];
    state.vehicle = new Vehicle(vault, 'bus-7', state.token, link, cameras);
    state.vehicle.start();
    await page.goto(vault.url);
    await page.waitForSelector('.tile video[data-state=playing]', { timeout: 40_000 });
    await until('both cameras are on the wall', async () => (await page.locator('.tile').count()) === 2);
    await advances(page, 'a tile', '.tile video');
    await browser.shot(page, 'wall');
  },

  async 'live plays, close to now'() {
    const { page } = state;
    const begin = Date.now();
    await page.goto(`${vault.url}/d/bus-7?camera=front`);
    await page.waitForSelector('.stage[data-state=playing]', { timeout: 20_000 });
    state.figures['address to first live frame, ms'] = Date.now() - begin;
    await advances(page, 'live');
    const lags = [];
    for (let sample = 0; sample < 30; sample += 1) {
      const clock = await clockOf(page);
      lags.push(clock.read - clock.shown);
      await sleep(250);
    }
    state.figures['camera to screen as it settles, ms'] = lags.filter((_, index) => index % 3 === 0).join(', ');
    const settled = lags.slice(5).sort((a, b) => a - b);
    state.figures['camera to screen, least, median, most of 25, ms'] = [settled[0], settled[12], settled[24]].join(', ');
    assert(settled[12] < 2000, `live is ${settled[12]} ms behind the camera`);
    await browser.shot(page, 'vehicle-live');
  },

  async 'live goes on after a link cut, without a reload'() {
    const { page } = state;
    await page.evaluate(() => { window.sameDocument = true; document.querySelector('.stage video').sameElement = true; });
    browser.expected = AWAY;
    state.cutAt = Date.now();
    link.cut();
    const stuck = await until('the picture stands still', async () => {
      const before = await media(page);
      await sleep(1500);
      return (await media(page)) === before && before;
    });
    await sleep(4000);
    link.mend();
    await until('live goes on', async () => (await media(page)) > stuck + 1, 30_000);
    await until('live is close to now again', async () => {
      const clock = await readClock(page);
      return clock && clock.read - clock.shown < 4000;
    }, 30_000);
    assert(await page.evaluate(() => window.sameDocument && document.querySelector('.stage video').sameElement), 'the page was not loaded again');
    browser.expected = undefined;
  },

  async 'live goes on after a restart of the vault, without a reload'() {
    const { page } = state;
    browser.expected = AWAY;
    await vault.stop();
    await page.waitForSelector('.away', { timeout: 15_000 });
    await browser.shot(page, 'vehicle-vault-away');
    await vault.start();
    const back = Date.now();
    await until('live shows what came after the restart, close to now', async () => {
      const clock = await readClock(page);
      return clock && clock.shown > back + 500 && clock.read - clock.shown < 4000;
    }, 40_000);
    await until('the bar goes', async () => !(await page.isVisible('.away')));
    assert(await page.evaluate(() => window.sameDocument && document.querySelector('.stage video').sameElement), 'the page was not loaded again');
    browser.expected = undefined;
  },

  async 'what the cut held up arrives, and is shown as such'() {
    const { page } = state;
    const late = await span(page, 'front', 'backfilled');
    assert(late.from < state.cutAt + 12_000 && late.to > state.cutAt - 2000, 'the cut is where the timeline says');
    state.late = late;
  },

  async 'a click on the timeline plays that very second'() {
    const { page } = state;
    await page.click('.zooms >> text=1 min');
    await until('spans are drawn', async () => (await page.textContent('.timeline ul')).includes('arrived live'));
    const offsets = [];
    browser.expected = /404/;
    await until('what was shown after the cut is stored', () => page.evaluate(async ([from, to]) => {
      const answer = await fetch(`/vod/bus-7/front/index.m3u8?from=${from}&to=${to}`);
      return answer.ok && (await answer.text()).includes('#EXTINF');
    }, [state.late.to + 3000, state.late.to + 4000]), 40_000, 1000);
    browser.expected = undefined;
    // Before the cut, while the link was cut, and of what came live again.
    for (const goal of [state.cutAt - 6000, state.cutAt + 2500, state.cutAt - 9000, state.late.to + 3000]) {
      await page.click('.time');
      await page.fill('.when', local(goal - 3000));
      await page.click('.controls button[type=submit]');
      await until('the view is there', async () => page.$eval('.timeline', (element, at) => Number(element.dataset.from) < at && Number(element.dataset.to) > at, goal));
      await page.waitForSelector('.stage[data-state=playing]', { timeout: 15_000 });
      await page.keyboard.press('k');
      await page.waitForSelector('.stage[data-state=paused]', { timeout: 15_000 });
      await clickAt(page, goal);
      const clock = await until(`the picture is of ${new Date(goal).toISOString()}`, async () => {
        const seen = await readClock(page);
        return seen && Math.abs(seen.shown - goal) < 1000 && seen;
      }, 15_000);
      offsets.push(Math.round(clock.shown - goal));
      await page.keyboard.press('k');
      await page.waitForSelector('.stage[data-state=playing]', { timeout: 15_000 });
    }
    state.figures['picture of a clicked second, off by ms'] = offsets.join(', ');
    await browser.shot(page, 'vehicle-recorded');
    await advances(page, 'recorded');
  },

  async 'all cameras play the same second'() {
    const { page } = state;
    await page.click('.vehicle-tools >> text=All 2');
    await until('both play', async () => (await page.locator('.stage[data-state=playing]').count()) === 2, 20_000);
    await sleep(2500);
    await browser.shot(page, 'vehicle-all-cameras');
    await page.click('.vehicle-tools >> text=All 2');
  },

  async 'a clip is made and downloads right'() {
    const { page } = state;
    // Half of it came live, half came after the cut.
    const from = Math.ceil((state.cutAt - 4000) / 1000) * 1000;
    await page.keyboard.press('c');
    await page.locator('dialog input[type=datetime-local]').nth(1).fill(local(from + 8000));
    await page.locator('dialog input[type=datetime-local]').nth(0).fill(local(from));
    await page.locator('dialog input[type=datetime-local]').nth(0).blur();
    await page.locator('dialog input[type=datetime-local]').nth(1).fill(local(from + 8000));
    await page.locator('dialog input[type=datetime-local]').nth(1).blur();
    await browser.shot(page, 'clip-dialog');
    await page.click('dialog button[type=submit]');
    await page.waitForSelector('dialog [data-state=done]', { timeout: 30_000 });
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('dialog >> text=Download')]);
    const file = join(vault.folder, 'clip.mp4');
    await download.saveAs(file);
    const probed = JSON.parse(execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'format=duration:stream=codec_name', '-of', 'json', file], { encoding: 'utf8' }));
    const seconds = Number(probed.format.duration);
    assert(seconds > 7.5 && seconds < 10.5, `8 s (and up to a keyframe before and after) were asked for, the clip has ${seconds}`);
    assert(probed.streams.some((stream) => stream.codec_name === 'h264'), 'the clip has its picture');
    const complaints = execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    assert(complaints === '', complaints);
    await page.keyboard.press('Escape');
  },

  async 'a dropped file lands on the timeline'() {
    const { page } = state;
    await page.goto(`${vault.url}/imports`);
    const inputs = page.locator('.card input');
    await inputs.nth(0).fill('bus-7');
    await inputs.nth(1).fill('card');
    const bytes = readFileSync(join(FOOTAGE, 'carphone_pristine.mp4')).toString('base64');
    const transfer = await page.evaluateHandle((encoded) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0))], '20261120_081500.mp4', { type: 'video/mp4' }));
      return data;
    }, bytes);
    await page.dispatchEvent('[data-testid=drop]', 'drop', { dataTransfer: transfer });
    await page.waitForSelector('[data-import][data-state=done]', { timeout: 30_000 });
    await browser.shot(page, 'imports');
    await page.click('[data-import] a');
    await page.waitForSelector('.stage video');
    await until('the imported footage shows', async () => page.$eval('.stage video', (video) => video.videoWidth > 0 && video.currentTime > 0), 20_000);
    await browser.shot(page, 'imported');
  },

  async 'a locked event survives retention, the rest goes'() {
    const { page } = state;
    const at = Math.round(state.cutAt - 6000);
    await page.goto(`${vault.url}/d/bus-7?camera=front&at=${at}`);
    await page.waitForSelector('.stage[data-state=playing]', { timeout: 20_000 });
    await page.keyboard.press('k');
    await page.keyboard.press('m');
    await page.waitForSelector('.toast >> text=Event marked and locked');
    const held = async () => (await api(page, 'GET', '/api/v1/storage')).body.cameras.filter((one) => one.packs > 0).map((one) => one.camera);
    assert((await held()).includes('card'), 'what was imported is held');
    await page.goto(`${vault.url}/settings/storage`);
    await page.click('text=Add a rule');
    await page.locator('.rule input[type=number]').nth(0).fill('0.00001');
    await page.locator('.rule input[type=number]').nth(0).blur();
    await page.click('text=What would be deleted?');
    await page.waitForSelector('[data-testid=preview] >> text=would delete');
    await browser.shot(page, 'retention-preview');
    await page.click('text=Save rules');
    await until('retention deletes what is not locked', async () => !(await held()).includes('card'), 30_000, 500);
    const kept = await api(page, 'GET', `/api/v1/devices/bus-7/timeline?from=${at - 5000}&to=${at + 5000}`);
    const front = kept.body.cameras.find((camera) => camera.camera === 'front');
    assert(front.spans.every((one) => one.state === 'live' || one.state === 'backfilled'), `locked footage is still there: ${JSON.stringify(front.spans)}`);
    await page.goto(`${vault.url}/events`);
    await page.waitForSelector('[data-event]');
    await browser.shot(page, 'events');
  },

  async 'a viewer watches, and can neither delete nor change'() {
    const { page } = state;
    await page.goto(`${vault.url}/settings/users`);
    await page.click('text=Add a user');
    await page.fill('dialog input >> nth=0', 'watcher');
    await page.fill('dialog [type=password]', 'only looking here');
    await page.click('dialog button[type=submit]');
    await page.waitForSelector('td >> text=watcher');
    const viewer = await browser.open({ phone: true });
    await signIn(viewer, { name: 'watcher', password: 'only looking here' });
    await viewer.goto(`${vault.url}/d/bus-7?camera=front`);
    await viewer.waitForSelector('.stage[data-state=playing]', { timeout: 20_000 });
    assert(!(await viewer.isVisible('text=Clip')), 'there is no button for clips');
    browser.expected = /403/;
    const [event] = (await api(viewer, 'GET', '/api/v1/events')).body.events;
    const now = Date.now();
    for (const [method, path, body] of [
      ['DELETE', `/api/v1/devices/bus-7/cameras/front/footage?from=${now - 60_000}&to=${now}`],
      ['DELETE', '/api/v1/devices/bus-7'],
      ['DELETE', `/api/v1/events/${event.id}`],
      ['PATCH', `/api/v1/events/${event.id}`, { locked: false }],
    ]) {
      const { status } = await api(viewer, method, path, body);
      assert(status === 403, `${method} ${path} is refused, not ${status}`);
    }
    browser.expected = undefined;
    await browser.shot(viewer, 'vehicle-phone');
    await viewer.context().close();
  },

  async 'every screen is shown without an error, on desktop and phone, light and dark'() {
    const storage = await state.page.context().storageState();
    const screens = { wall: '/', vehicle: '/d/bus-7?camera=front', events: '/events', clips: '/clips', imports: '/imports', devices: '/devices', storage: '/settings', users: '/settings/users', tokens: '/settings/tokens', audit: '/settings/audit' };
    for (const look of [{ phone: false, dark: true }, { phone: true, dark: false }]) {
      const page = await browser.open({ ...look, storage });
      for (const [name, path] of Object.entries(screens)) {
        await page.goto(vault.url + path);
        await page.waitForSelector('h1');
        await sleep(name === 'wall' || name === 'vehicle' ? 2500 : 500);
        const unnamed = await page.$$eval('button, a, input, select', (elements) => elements.filter((element) => element.offsetParent !== null && !(element.textContent.trim() || element.getAttribute('aria-label') || element.closest('label') || element.title)).map((element) => element.outerHTML.slice(0, 120)));
        assert(unnamed.length === 0, `${name}: what has no name: ${unnamed.join(' ')}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert(wide <= 1, `${name} is ${wide} px wider than the window`);
        await browser.shot(page, `${name}${look.phone ? '-phone' : ''}${look.dark ? '-dark' : ''}`);
      }
      await page.context().close();
    }
  },

  async 'no console errors'() {
    assert(browser.errors.length === 0, browser.errors.join('\n'));
  },
};

async function main() {
  const wanted = process.argv.slice(2);
  let [passed, failed] = [0, 0];
  assert(existsSync(join(FOOTAGE, 'bikes.mp4')) && statSync(join(FOOTAGE, 'bikes.mp4')).size > 0, `there is footage in ${FOOTAGE}: make footage`);
  await vault.start();
  await link.start(vault.ports);
  await browser.start();
  for (const [name, test] of Object.entries(tests)) {
    if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue;
    const start = Date.now();
    try {
      await test();
      passed += 1;
      console.log(`ok    ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}: ${error.message}`);
      browser.expected = undefined;
      await browser.shot(state.page, `failed-${failed}`).catch(() => {});
      if (process.env.E2E_STOP) break;
    }
  }
  for (const [what, value] of Object.entries(state.figures)) console.log(`figure ${what}: ${value}`);
  if (failed > 0) console.log(`logs are in ${vault.folder}`);
  await browser.stop();
  await state.vehicle?.stop();
  link.stop();
  await vault.stop();
  if (failed === 0) vault.remove();
  console.log(`e2e: ${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

await main();
