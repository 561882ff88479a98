// Two ends of a stream of sound, in the thread that plays it: what a microphone hears, and what is to be played.

registerProcessor("hear", class extends AudioWorkletProcessor {
  process([heard]) {
    if (heard.length) this.port.postMessage(heard.map((channel) => channel.slice()));
    return true;
  }
});

registerProcessor("say", class extends AudioWorkletProcessor {
  chunks = [];
  at = 0; // within the first chunk

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.chunks.push(data);
  }

  /** What there is, and silence where it comes too late. */
  process(_, [said]) {
    const wanted = said[0].length;
    for (let done = 0; done < wanted && this.chunks.length; ) {
      const [first] = this.chunks, count = Math.min(wanted - done, first[0].length - this.at);
      said.forEach((channel, index) => channel.set((first[index] ?? first[0]).subarray(this.at, this.at + count), done));
      [done, this.at] = [done + count, this.at + count];
      if (this.at === first[0].length) [this.at] = [0, this.chunks.shift()];
    }
    return true;
  }
});
