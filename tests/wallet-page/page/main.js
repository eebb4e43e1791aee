// The modules that are tested in a page, for the tests to reach.

import * as history from '../../../www/src/state/history.js';
import * as staking from '../../../www/src/state/staking.js';
import * as router from '../../../www/src/app/router.js';
import * as autoLock from '../../../www/src/vault/auto-lock.js';
import * as derive from '../../../www/src/vault/derive.js';
import * as store from '../../../www/src/vault/store.js';
import * as vault from '../../../www/src/vault/vault.js';
import { loadWallet } from '../../../www/src/lib/wallet.js';

window.modules = { history, staking, router, autoLock, derive, store, vault, loadWallet };

/** What a promise comes to, as plain data. */
window.outcome = (promise) =>
    promise.then(
        (value) => ({ value }),
        (error) => ({ error: { name: error.name, code: error.code, message: error.message } }),
    );
