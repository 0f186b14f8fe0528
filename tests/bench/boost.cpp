/* SPDX-License-Identifier: MIT */
/* Boost.Interprocess: its message_queue as a channel, with the bound that ipcfs gets too. */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <string>
#include <unistd.h>

#include "channel.h"

using boost::interprocess::message_queue;

static void *make(int id, size_t size)
{
	std::string name = "ipcfs-bench-" + std::to_string(getpid()) + "-" + std::to_string(id);

	try {
		message_queue *q = new message_queue(boost::interprocess::create_only, name.c_str(),
						     BOUND(size), size);
		/* The processes inherit the mapping: the name need not outlive this line. */
		message_queue::remove(name.c_str());
		return q;
	} catch (const std::exception &e) {
		message_queue::remove(name.c_str());
		die("Boost: %s", e.what());
	}
}

static void put(void *channel, const char *msgs, size_t size, int n)
{
	static_cast<message_queue *>(channel)->send(msgs, size, 0);
}

static int get(void *channel, char *msgs, size_t size, int n)
{
	message_queue::size_type length;
	unsigned int priority;

	static_cast<message_queue *>(channel)->receive(msgs, size, length, priority);
	if (length != size)
		die("Boost: a message of another length");
	return 1;
}

extern "C" const struct channel_type boost_channels[] = {
	{ "boost", 1, false, make, nullptr, put, get, nullptr },
	{ nullptr, 0, false, nullptr, nullptr, nullptr, nullptr, nullptr },
};
