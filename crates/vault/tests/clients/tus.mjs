// Uploads a file with tus-js-client as a browser would; prints where it went. Driven by tests/e2e/tus_clients.rs.
//
//   node tus.mjs SCENARIO FILE URL TOKEN      with TUS_CLIENTS=<folder of node_modules>
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const tus = createRequire(join(process.env.TUS_CLIENTS, 'from-here.js'))('tus-js-client')
const [scenario, file, endpoint, token] = process.argv.slice(2)
const bytes = readFileSync(file)

function upload(more) {
  return new Promise((resolve, reject) => {
    const it = new tus.Upload(bytes, {
      endpoint,
      headers: { Authorization: `Bearer ${token}` },
      metadata: { device: 'bus', camera: 'front', filename: basename(file), filetype: 'video/mp4' },
      chunkSize: Math.ceil(bytes.length / 7),
      retryDelays: null,
      onError: reject,
      onSuccess: () => resolve(it.url),
      ...more(() => it, resolve),
    })
    it.start()
  })
}

const scenarios = {
  // In pieces, one request each.
  pieces: () => upload(() => ({})),
  // The first request brings bytes, too.
  'with-upload': () => upload(() => ({ uploadDataDuringCreation: true })),
  // Breaks off after a third; a second client goes on where the vault says.
  async resume() {
    const url = await upload((self, done) => ({
      onChunkComplete: async (size, accepted) => {
        if (accepted > bytes.length / 3) {
          await self().abort()
          done(self().url)
        }
      },
    }))
    let first
    await upload(() => ({
      uploadUrl: url,
      onProgress: (sent) => { first ??= sent },
    }))
    if (!(first >= bytes.length / 3)) throw new Error(`went on at ${first} of ${bytes.length}`)
    return url
  },
  // Three connections, then a concatenation.
  parallel: () => upload(() => ({ parallelUploads: 3 })),
  // Is ended, and is no more.
  async terminate() {
    const url = await upload((self, done) => ({
      onChunkComplete: async () => {
        await self().abort(true)
        done(self().url)
      },
    }))
    return url
  },
}

console.log(await scenarios[scenario]())
