#!/usr/bin/perl
# worker.pl MOUNT REPORT: count lines
use strict;
use warnings;
use Fcntl ':flock';
use IO::Handle;

my ($ipc, $path) = @ARGV;
open my $go,     '<',  "$ipc/go.event"             or die "go.event: $!";
open my $jobs,   '<',  "$ipc/jobs.queue"           or die "jobs.queue: $!";
open my $done,   '>',  "$ipc/jobs.queue.ctl/done"  or die "done: $!";
open my $lock,   '<',  "$ipc/report.lock"          or die "report.lock: $!";
open my $report, '>>', $path                       or die "$path: $!";
$_->autoflush(1) for $report, $done;

<$go>;                                  # waits until it is set
while (my $name = <$jobs>) {            # reading takes; it ends once the queue is closed
	chomp $name;
	open my $file, '<:raw', $name or die "$name: $!";
	my $data = do { local $/; <$file> } // '';
	my $lines = $data =~ tr/\n//;
	flock $lock, LOCK_EX or die "flock: $!";
	print $report join("\t", 'Perl', $lines, length $data, '-', $name), "\n";
	flock $lock, LOCK_UN;
	print $done "1\n";
}
