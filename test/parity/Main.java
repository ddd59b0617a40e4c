// Runs cases (one JSON a line on standard input) through Kafka Streams by TopologyTestDriver and prints the rows of each case
// as one JSON a line. Topics have one partition; nothing is cached; results are not throttled by the wall clock.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Aggregator;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Merger;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.SlidingWindows;
import org.apache.kafka.streams.kstream.TimeWindowedKStream;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.ValueJoiner;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.test.TestRecord;

public class Main {
  static final ObjectMapper json = new ObjectMapper();
  static final Serde<String> text = Serdes.String();
  static final Aggregator<String, String, String> add = (key, value, all) -> all.isEmpty() ? value : all + " " + value;
  static final Merger<String, String> merge = (key, a, b) -> a.isEmpty() ? b : b.isEmpty() ? a : a + " " + b;

  public static void main(String[] args) throws Exception {
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (String line = in.readLine(); line != null; line = in.readLine())
      out.println(json.writeValueAsString(rowsOf(json.readTree(line), args[0])));
    out.flush();
  }

  static ArrayNode rowsOf(JsonNode one, String stateDir) {
    var builder = new StreamsBuilder();
    KStream<String, String> left = builder.stream("left");
    if (one.get("operator").get("kind").asText().equals("join")) join(one, left, builder.stream("right")).to("out");
    else windowed(one, left.groupByKey()).toStream().filter((key, value) -> value != null).map(Main::flat).to("out");
    var properties = new Properties();
    properties.put("application.id", "parity");
    properties.put("bootstrap.servers", "none:1");
    properties.put("statestore.cache.max.bytes", 0);
    properties.put("default.key.serde", text.getClass());
    properties.put("default.value.serde", text.getClass());
    properties.put("state.dir", stateDir);
    if (!one.get("onDisk").asBoolean())
      properties.put("dsl.store.suppliers.class", BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
    properties.put("__emit.interval.ms.kstreams.windowed.aggregation__", 0L);
    properties.put("__emit.interval.ms.kstreams.outer.join.spurious.results.fix__", 0L);
    try (var driver = new TopologyTestDriver(builder.build(), properties)) {
      Map<String, TestInputTopic<String, String>> inputs = new HashMap<>();
      for (JsonNode record : one.get("records")) {
        String topic = record.get("topic").asText();
        inputs.computeIfAbsent(topic, name -> driver.createInputTopic(name, new StringSerializer(), new StringSerializer()))
            .pipeInput(new TestRecord<>(record.get("key").asText(), record.get("value").asText(), Instant.ofEpochMilli(record.get("t").asLong())));
      }
      ArrayNode rows = json.createArrayNode();
      var output = driver.createOutputTopic("out", new StringDeserializer(), new StringDeserializer());
      for (TestRecord<String, String> record : output.readRecordsToList()) {
        ObjectNode row = rows.addObject();
        row.put("key", record.key()).put("t", record.timestamp()).put("value", record.value());
      }
      return rows;
    }
  }

  /** "start end values", since a plain key is all that an output topic takes. */
  static KeyValue<String, String> flat(Windowed<String> key, String value) {
    return KeyValue.pair(key.key(), key.window().start() + " " + key.window().end() + ": " + value);
  }

  static KTable<Windowed<String>, String> windowed(JsonNode one, KGroupedStream<String, String> grouped) {
    JsonNode operator = one.get("operator");
    Duration grace = ms(one, "grace");
    switch (operator.get("kind").asText()) {
      case "tumbling":
        return timed(one, grouped.windowedBy(TimeWindows.ofSizeAndGrace(ms(operator, "size"), grace)));
      case "hopping":
        return timed(one, grouped.windowedBy(TimeWindows.ofSizeAndGrace(ms(operator, "size"), grace).advanceBy(ms(operator, "advance"))));
      case "sliding":
        return timed(one, grouped.windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(operator, "difference"), grace)));
      case "session":
        Materialized<String, String, SessionStore<Bytes, byte[]>> store = Materialized.as("store");
        return grouped.windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(operator, "gap"), grace)).emitStrategy(EmitStrategy.onWindowClose())
            .aggregate(() -> "", add, merge, kept(one, store));
      default:
        throw new IllegalArgumentException("no such operator");
    }
  }

  static KTable<Windowed<String>, String> timed(JsonNode one, TimeWindowedKStream<String, String> windows) {
    Materialized<String, String, WindowStore<Bytes, byte[]>> store = Materialized.as("store");
    return windows.emitStrategy(EmitStrategy.onWindowClose()).aggregate(() -> "", add, kept(one, store));
  }

  static <S extends org.apache.kafka.streams.processor.StateStore> Materialized<String, String, S> kept(JsonNode one, Materialized<String, String, S> store) {
    if (one.get("retention").isNumber()) store.withRetention(ms(one, "retention"));
    return store.withKeySerde(text).withValueSerde(text);
  }

  static KStream<String, String> join(JsonNode one, KStream<String, String> left, KStream<String, String> right) {
    JsonNode operator = one.get("operator");
    ValueJoiner<String, String, String> both = (a, b) -> (a == null ? "-" : a) + "&" + (b == null ? "-" : b);
    var windows = JoinWindows.ofTimeDifferenceAndGrace(Duration.ZERO, ms(one, "grace")).before(ms(operator, "before")).after(ms(operator, "after"));
    switch (operator.get("type").asText()) {
      case "inner": return left.join(right, both, windows);
      case "left": return left.leftJoin(right, both, windows);
      default: return left.outerJoin(right, both, windows);
    }
  }

  static Duration ms(JsonNode node, String field) {
    return Duration.ofMillis(node.get(field).asLong());
  }
}
