// Staking: begin, add, take back, choose another validator. What the protocol makes one wait for is said in words.

import { useEffect, useState } from 'preact/hooks';

import { inPath } from '../app/router.js';
import { inWords } from '../lib/errors.js';
import { balances, stakeOf } from '../state/accounts.js';
import { client, clientState, network } from '../state/connection.js';
import { pendingOut } from '../state/history.js';
import { candidates, loadCandidates, outlook } from '../state/staking.js';
import type { AccountRecord } from '../vault/store.js';
import { Amount } from '../ui/amount.js';
import { Notice } from '../ui/notice.js';
import { Page } from '../ui/page.js';
import { OwnAccount } from './parts/own-account.js';
import { Act, type Action } from './parts/stake-action.js';
import { BeginForm, ReturnSteps, StakeForms, ValidatorLine } from './parts/stake-forms.js';

export function Stake({ address }: { address: string }) {
    return (
        <OwnAccount address={address} signing>
            {(account) => <Staking account={account} />}
        </OwnAccount>
    );
}

function Staking({ account: { address, label } }: { account: AccountRecord }) {
    const [action, act] = useState<Action>();
    const [problem, tell] = useState<string>();
    const known = balances.value.get(address);
    const staker = known?.staker;
    const delegation = staker?.delegation;
    const out = pendingOut(address).value;
    const available = known === undefined ? undefined : known.balance > out ? known.balance - out : 0n;

    const asked = client.value;
    const epoch = clientState.value?.electionHead.epoch;
    useEffect(() => {
        if (!asked) return;
        const end = new AbortController();
        tell(undefined);
        loadCandidates(asked, [delegation], end.signal).catch((error: unknown) => !end.signal.aborted && tell(inWords(error)));
        return () => end.abort();
    }, [asked, delegation, epoch]);

    const head = clientState.value?.head.blockNumber ?? known?.blockNumber ?? 0;
    const validator = candidates.value?.find((one) => one.address === delegation)?.details;
    const prospects = staker && outlook(network.value, staker, validator, head);
    return (
        <Page title="Stake" back={{ to: `/account/${inPath(address)}`, text: label }}>
            {problem && <Notice tone="warn">{problem}</Notice>}
            {known === undefined ? (
                <span class="skeleton line-skeleton" />
            ) : !staker || !prospects ? (
                <>
                    <section class="card navy stack tight">
                        <p>Staked NIM back a validator, who makes blocks for them and shares the rewards. They stay yours, and can be had back after a waiting time.</p>
                    </section>
                    <BeginForm available={available ?? 0n} head={head} onAct={act} />
                </>
            ) : (
                <>
                    <section class="card navy stack" aria-label="Your stake">
                        <div>
                            <p class="label">Staked in all</p>
                            <p class="total">
                                <Amount luna={stakeOf(staker)} data-testid="stake" />
                            </p>
                        </div>
                        <dl class="split">
                            <Part name="Active" luna={staker.balance} />
                            <Part name="Inactive" luna={staker.inactiveBalance} />
                            <Part name="Retired" luna={staker.retiredBalance} />
                        </dl>
                        {delegation !== undefined && <ValidatorLine address={delegation} title="With the validator" />}
                    </section>
                    <ReturnSteps staker={staker} prospects={prospects} head={head} balance={available ?? 0n} onAct={act} />
                    <StakeForms staker={staker} prospects={prospects} head={head} available={available ?? 0n} onAct={act} />
                </>
            )}
            {action && <Act action={action} from={address} balance={available ?? 0n} onClose={() => act(undefined)} />}
        </Page>
    );
}

function Part({ name, luna }: { name: string; luna: bigint }) {
    return (
        <div>
            <dt>{name}</dt>
            <dd>
                <Amount luna={luna} />
            </dd>
        </div>
    );
}

