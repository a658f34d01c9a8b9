// Puts the mock vault under `npm run dev` and `vite preview`, where DASHVAULT_URL names no real one.
import type { Connect, Plugin } from 'vite';
import { MockVault } from './vault.ts';

export function mockVault(): Plugin {
  const devices = Number(process.env['MOCK_DEVICES'] ?? 4);
  const vault = new MockVault(devices, process.env['MOCK_ENTRY'] ?? 'signed-in');
  const handler: Connect.NextHandleFunction = (request, response, next) => {
    const url = new URL(request.url ?? '/', 'http://mock');
    if (!/^\/(api|live|vod|objects)\//.test(url.pathname)) return next();
    let text = '';
    request.on('data', (data: Buffer) => (text += data.toString()));
    request.on('end', () => {
      const answer = vault.answer(request.method ?? 'GET', url, text);
      response.statusCode = answer.status;
      response.setHeader('content-type', answer.type);
      response.end(answer.body);
    });
  };
  return {
    name: 'mock-vault',
    configureServer: (server) => void server.middlewares.use(handler),
    configurePreviewServer: (server) => void server.middlewares.use(handler),
  };
}
