import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Produces any bytes, which Kafka's console producer cannot. Reads one record a line: partition, key
 * and value, separated by tabs; key and value in hexadecimal digits; "-" for null, and for a partition
 * that the producer chooses.
 *
 * <p>Arguments: bootstrap servers, topic, codec.
 */
public final class ProduceRecords {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", arguments[0]);
    properties.put("compression.type", arguments[2]);
    properties.put("acks", "all");
    // What comes together shall travel together.
    properties.put("linger.ms", "200");
    properties.put("batch.size", "65536");
    ByteArraySerializer bytes = new ByteArraySerializer();
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties, bytes, bytes)) {
      String line;
      while ((line = lines.readLine()) != null) {
        String[] fields = line.split("\t", -1);
        ProducerRecord<byte[], byte[]> record =
            new ProducerRecord<>(
                arguments[1], partition(fields[0]), decode(fields[1]), decode(fields[2]));
        producer.send(
            record,
            (metadata, error) -> {
              if (error != null) {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
              }
            });
      }
    }
  }

  private static Integer partition(String field) {
    return field.equals("-") ? null : Integer.valueOf(field);
  }

  private static byte[] decode(String field) {
    return field.equals("-") ? null : HexFormat.of().parseHex(field);
  }
}
