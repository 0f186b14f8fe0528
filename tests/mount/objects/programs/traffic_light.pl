#!/usr/bin/perl
# Cars wait for green. Usage: traffic_light.pl FOLDER
use strict;
use warnings;
use Errno 'ETIMEDOUT';

chdir $ARGV[0] or die;
$| = 1;

sub put { my ($name, $text) = @_; open my $f, '>', $name or die $!; syswrite $f, "$text\n" or die $! }
sub get { my ($name) = @_; open my $f, '<', $name or die $!; return sysread $f, my $text, 4096 }

sub car {
    my ($number) = @_;
    print "car $number arrives\n";
    put('arrived.sem', 1);
    get('green.event') or die $!;
    print "car $number passes\n";
}

open my $f, '>', $_ or die $! for 'green.event', 'arrived.sem';
print "red\n";
for my $i (1 .. 5) {
    next if fork;
    car($i);
    exit;
}
get('arrived.sem') or die $! for 1 .. 5;
print "green\n";
put('green.event', 'set');
1 while wait > 0;
put('green.event', 'clear');
print "red\n";
print "car 6 still waits\n" if !defined get('green.event@0.2') && $! == ETIMEDOUT;
