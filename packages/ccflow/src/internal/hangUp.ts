/** Whether the terminal was taken away: Node 20 was seen to abort when it then ends in the usual way. */
export const hangUp = { seen: false }
