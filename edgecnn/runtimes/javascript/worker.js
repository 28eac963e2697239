// The worker of a classifier: answers messages {id, command, args} with {id, value} or {id, error}.

import { messageOf, Service } from "./service.js";

const service = new Service();

addEventListener("message", async ({ data: { id, command, args } }) => {
  try {
    postMessage({ id, value: await service.answer(command, args) });
  } catch (error) {
    postMessage({ id, error: messageOf(error) });
  }
});
