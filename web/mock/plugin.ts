import type { Plugin } from 'vite';
export const mockVault = (): Plugin => ({ name: 'mock-vault' });
