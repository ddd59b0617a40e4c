package peer;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;

/** The same workloads as bench/pipelines: brokers, application id, workload, input, output, state folder. */
public final class Peer {
  public static void main(String[] args) throws InterruptedException {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[5]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");

    StreamsBuilder builder = new StreamsBuilder();
    JsonSerde<Payment> payments = new JsonSerde<>(Payment.class);
    Consumed<String, Payment> consumed = Consumed.with(Serdes.String(), payments);
    switch (args[2]) {
      case "map" -> map(builder.stream(args[3], consumed), args[4]);
      case "sum" -> sum(builder.stream(args[3], consumed), payments, args[4]);
      default -> {
        Consumed<String, Payment> timed =
            consumed.withTimestampExtractor((record, before) -> ((Payment) record.value()).at);
        KStream<String, Payment> input = builder.stream(args[3], timed);
        if (args[2].equals("join")) join(input, payments, args[4]);
        else windows(args[2], input, payments, args[4]);
      }
    }

    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    CountDownLatch ended = new CountDownLatch(1);
    streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.ERROR) ended.countDown();
        });
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    ended.await();
    System.exit(1);
  }

  /** The sizes are those of bench/pipelines/windows.ts. */
  private static void windows(
      String workload, KStream<String, Payment> input, JsonSerde<Payment> payments, String output) {
    KGroupedStream<String, Payment> grouped =
        input.groupByKey(Grouped.with(Serdes.String(), payments));
    KTable<Windowed<String>, Long> counts =
        workload.equals("tumbling")
            ? grouped
                .windowedBy(
                    TimeWindows.ofSizeAndGrace(Duration.ofSeconds(60), Duration.ofSeconds(10)))
                .emitStrategy(EmitStrategy.onWindowClose())
                .count(Materialized.with(Serdes.String(), Serdes.Long()))
            : grouped
                .windowedBy(
                    SessionWindows.ofInactivityGapAndGrace(
                        Duration.ofSeconds(10), Duration.ofSeconds(5)))
                .emitStrategy(EmitStrategy.onWindowClose())
                .count(Materialized.with(Serdes.String(), Serdes.Long()));
    counts
        .toStream()
        .filter((window, count) -> count != null)
        .map((window, count) ->
            KeyValue.pair(window.key(), Counted.of(window.window().start(), count)))
        .to(output, Produced.with(Serdes.String(), new JsonSerde<>(Counted.class)));
  }

  private static void join(
      KStream<String, Payment> input, JsonSerde<Payment> payments, String output) {
    JoinWindows span =
        JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(5))
            .before(Duration.ZERO);
    KStream<String, Payment> inShop = input.filter((account, one) -> one.channel.equals("shop"));
    input
        .filter((account, one) -> one.channel.equals("web"))
        .join(inShop, Pair::of, span, StreamJoined.with(Serdes.String(), payments, payments))
        .to(output, Produced.with(Serdes.String(), new JsonSerde<>(Pair.class)));
  }

  private static void map(KStream<String, Payment> input, String output) {
    input.mapValues(Total::of).to(output, Produced.with(Serdes.String(), new JsonSerde<>(Total.class)));
  }

  private static void sum(KStream<String, Payment> input, JsonSerde<Payment> payments, String output) {
    input
        .groupByKey(Grouped.with(Serdes.String(), payments))
        .aggregate(
            () -> 0.0,
            (account, payment, sum) -> sum + payment.amount,
            Materialized.with(Serdes.String(), Serdes.Double()))
        .toStream()
        .to(output, Produced.with(Serdes.String(), new JsonSerde<>(Double.class)));
  }
}
