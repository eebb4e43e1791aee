import 'pico-sync-client/worker';
