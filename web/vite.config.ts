// How the dashboard is built: content-hashed files, nothing inlined (the Content-Security-Policy forbids it), the same
// bytes from the same sources on every machine.
import solid from 'vite-plugin-solid';
import { defineConfig } from 'vitest/config';
import { mockVault } from './mock/plugin.ts';

const vault = process.env['DASHVAULT_URL'];

export default defineConfig({
  plugins: [solid(), ...(vault === undefined ? [mockVault()] : [])],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    license: { fileName: 'licenses.md' },
  },
  server: {
    // `DASHVAULT_URL=http://127.0.0.1:8080 npm run dev` works on the screens against a real vault.
    proxy: vault === undefined ? {} : { '^/(api|live|vod|objects)/': { target: vault } },
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});
