// Gives a `<owner>-worker` service the life-cycle of its durable messages and the actions of
// messagingContract. Adds one method, `channels()`, which gives the Channels and their stats().
import type { ServiceSchema } from "moleculer";
import { messagingContract } from "../../services/contracts/messaging.ts";
import { implement } from "../service.ts";
import { type ChannelsOptions, createChannels } from "./channels.ts";

/** Asserts at once that the consumers are those of the event catalogue. */
export function channelsMixin(options: ChannelsOptions): Partial<ServiceSchema> {
  const channels = createChannels(options);
  return {
    actions: implement(messagingContract, {
      async republish({ params }) {
        return { republished: await channels.republish(params.outbox_ids) };
      },
      async replayDeadLetter({ params }) {
        await channels.deadLetters.replay(params.id);
        return null;
      },
      async discardDeadLetter({ params }) {
        await channels.deadLetters.discard(params.id);
        return null;
      },
    }),
    methods: { channels: () => channels },
    started: () => channels.start(),
    stopped: () => channels.stop(),
  };
}
