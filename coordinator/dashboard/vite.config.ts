import { defineConfig } from 'vite';

// FALLOW_DASHBOARD_OUT: the folder the coordinator's build embeds. FALLOW_COORDINATOR: where `npm run dev` sends the
// API's calls, https://HOST:PORT; its certificate is the coordinator's own, so it is not checked here.
const coordinator = process.env.FALLOW_COORDINATOR ?? 'https://127.0.0.1:8443';
const proxied = { target: coordinator, secure: false, changeOrigin: true };

export default defineConfig({
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    outDir: process.env.FALLOW_DASHBOARD_OUT ?? 'dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the page's content policy allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': proxied, '/v1': proxied } },
});
