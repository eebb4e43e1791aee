import '../pico-sync-client/dist/worker.js';
