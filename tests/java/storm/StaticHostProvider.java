package org.apache.storm.shade.org.apache.zookeeper.client;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * Stands before the class of this name in Storm's jar, whose ZooKeeper takes the host's name from the text of an address, where
 * Java 14 and later have more than the name.
 */
public final class StaticHostProvider implements HostProvider {
  private final List<InetSocketAddress> servers;
  private int next;

  public StaticHostProvider(Collection<InetSocketAddress> servers) {
    this.servers = new ArrayList<>(servers);
  }

  @Override
  public int size() {
    return servers.size();
  }

  @Override
  public synchronized InetSocketAddress next(long spinDelay) {
    if (next > 0 && next % servers.size() == 0 && spinDelay > 0) {
      try {
        Thread.sleep(spinDelay);
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    InetSocketAddress server = servers.get(next++ % servers.size());
    return new InetSocketAddress(server.getHostString(), server.getPort());
  }

  @Override
  public synchronized void onConnected() {
    next = 0;
  }
}
